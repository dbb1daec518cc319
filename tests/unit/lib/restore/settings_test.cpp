#include "lib/restore/settings.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::restore;

namespace {

RecoverySettings to_end(std::uint32_t major = 15) {
    RecoverySettings settings;
    settings.major_version = major;
    settings.timeline = "latest";
    settings.restore_command = "false";
    return settings;
}

std::string value(const std::string& conf, const char* key) {
    const auto all = parse_configuration(conf);
    const auto found = all.find(key);
    return found == all.end() ? "(absent)" : found->second.value;
}

bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_GROUP(RecoverySettings){};

TEST(RecoverySettings, ReadsAssignmentsAsPostgresDoes) {
    const struct {
        const char* line;
        const char* key;
        const char* value;
    } cases[] = {
        {"archive_command = 'cp %p /a/%f'  # old", "archive_command", "cp %p /a/%f"},
        {"  Work_Mem 64MB", "work_mem", "64MB"},
        {"port=5433#x", "port", "5433"},
        {"a = 'it''s \\'so\\' \\\\'", "a", "it's 'so' \\"},
        {"plugin.setting = on", "plugin.setting", "on"},
        {"empty = ''", "empty", ""},
    };
    for (const auto& c : cases) {
        const auto assignment = parse_assignment(c.line);
        CHECK_TRUE_TEXT(assignment.has_value(), c.line);
        STRCMP_EQUAL(c.key, assignment->key.c_str());
        STRCMP_EQUAL(c.value, assignment->value.c_str());
    }
    for (const char* line : {"", "   ", "# comment", "open = 'never closed", "= 3", "lonely"}) {
        CHECK(!parse_assignment(line));
    }
}

TEST(RecoverySettings, QuotesWhatItWritesSoThatItReadsTheSame) {
    const std::string hard = "a'b\\c''d";
    STRCMP_EQUAL(hard.c_str(), value("x = " + quote_value(hard), "x").c_str());
}

TEST(RecoverySettings, NeutralisesArchivingAndKeepsTheOriginals) {
    const auto main_file = parse_configuration("archive_command = 'send %p'\nwork_mem = 1MB\n");
    const std::string conf = auto_conf(to_end(), "work_mem = '4MB'\narchive_command = 'other %p'\n", main_file);
    STRCMP_EQUAL("false", value(conf, "archive_command").c_str());
    STRCMP_EQUAL("4MB", value(conf, "work_mem").c_str());
    CHECK(has(conf, "# replaced by coffer restore: archive_command = 'other %p'"));
    CHECK(has(conf, "# in postgresql.conf: archive_command = 'send %p'"));
}

TEST(RecoverySettings, LeavesTheOldStandbysConnectionAndSlotToIt) {
    const auto main_file = parse_configuration("primary_conninfo = 'host=old'\n");
    RecoverySettings settings = to_end();
    settings.target.standby_mode = true;
    const std::string conf = auto_conf(settings, "primary_slot_name = 'standby1'\n", main_file);
    STRCMP_EQUAL("", value(conf, "primary_slot_name").c_str());
    STRCMP_EQUAL("", value(conf, "primary_conninfo").c_str());
    CHECK(has(conf, "# replaced by coffer restore: primary_slot_name = 'standby1'"));
    CHECK(has(conf, "# in postgresql.conf: primary_conninfo = 'host=old'"));
}

TEST(RecoverySettings, SetsExactlyOneTarget) {
    RecoverySettings settings = to_end();
    settings.target.kind = TargetKind::time;
    settings.target.time = parse_time("2026-11-23 21:00:00.5Z").time;
    settings.target.inclusive = false;
    settings.target.action = TargetAction::promote;
    const std::string conf = auto_conf(settings, "recovery_target_xid = '740'\n", {});
    STRCMP_EQUAL("2026-11-23 21:00:00.500000+00", value(conf, "recovery_target_time").c_str());
    STRCMP_EQUAL("", value(conf, "recovery_target_xid").c_str());
    STRCMP_EQUAL("", value(conf, "recovery_target").c_str());
    STRCMP_EQUAL("off", value(conf, "recovery_target_inclusive").c_str());
    STRCMP_EQUAL("promote", value(conf, "recovery_target_action").c_str());
    // PostgreSQL refuses an emptied target behind a set one.
    CHECK(conf.find("recovery_target_xid = ''") < conf.find("recovery_target_time = '2026"));
    CHECK(conf.find("recovery_target_name = ''") < conf.find("recovery_target_time = '2026"));
}

TEST(RecoverySettings, WritesOnlyWhatTheVersionKnows) {
    STRCMP_EQUAL("(absent)", value(auto_conf(to_end(14), "", {}), "archive_library").c_str());
    STRCMP_EQUAL("", value(auto_conf(to_end(15), "", {}), "archive_library").c_str());
    STRCMP_EQUAL("", value(auto_conf(to_end(15), "", {}), "promote_trigger_file").c_str());
    STRCMP_EQUAL("(absent)", value(auto_conf(to_end(16), "", {}), "promote_trigger_file").c_str());
}

TEST(RecoverySettings, QuotesTheCommandForTheShellAndForPostgres) {
    RestoreTarget standby, to_lsn;
    standby.standby_mode = true;
    to_lsn.kind = TargetKind::lsn;
    const std::string command = get_wal_command("/opt/my coffer/cofferctl", "/etc/c%f/it's.conf", "main", standby);
    STRCMP_EQUAL("'/opt/my coffer/cofferctl' --config '/etc/c%%f/it'\\''s.conf' get-wal -P 'main' %f --to %p",
                 command.c_str());
    STRCMP_EQUAL("'c' --config 'f' get-wal -P --stop-at-hole 'main' %f --to %p",
                 get_wal_command("c", "f", "main", {}).c_str());
    STRCMP_EQUAL("'c' --config 'f' get-wal -P 'main' %f --to %p", get_wal_command("c", "f", "main", to_lsn).c_str());
}

TEST(RecoverySettings, WarnsOfAStandbyThatCommitsWouldWaitFor) {
    char name[] = "/tmp/coffer-settings-XXXXXX";
    const Path directory = ::mkdtemp(name);
    const auto warned = [&](const char* main, const char* automatic) {
        write_file_durably(directory / "postgresql.conf", main);
        write_file_durably(directory / "postgresql.auto.conf", automatic);
        write_file_durably(directory / "pg_hba.conf", "");
        const auto report = examine_configuration(directory, {});
        return !report.warnings.empty() && has(report.warnings[0], "synchronous_standby_names is 'box'");
    };
    CHECK(warned("synchronous_standby_names = 'box'", ""));
    CHECK(warned("", "synchronous_standby_names = 'box'"));
    CHECK(!warned("synchronous_standby_names = 'box'", "synchronous_standby_names = ''"));
    CHECK(!warned("# synchronous_standby_names = 'box'", ""));
    std::filesystem::remove_all(directory);
}

TEST(RecoverySettings, StopBehindTheLastTransactionInFrontOfTheTarget) {
    RecoverySettings settings = to_end();
    settings.target.kind = TargetKind::time;
    settings.target.time = parse_time("2026-11-23 10:00:00Z").time;
    settings.target.inclusive = false;
    settings.target.action = TargetAction::promote;
    settings.last_transaction = Lsn{0x5000028};
    const std::string conf = auto_conf(settings, "", {});
    STRCMP_EQUAL("0/5000028", value(conf, "recovery_target_lsn").c_str());
    STRCMP_EQUAL("on", value(conf, "recovery_target_inclusive").c_str());
    STRCMP_EQUAL("promote", value(conf, "recovery_target_action").c_str());
    STRCMP_EQUAL("", value(conf, "recovery_target_time").c_str());
}
