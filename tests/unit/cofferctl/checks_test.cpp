#include "tools/cofferctl/checks.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::cofferctl;

namespace {

std::string failed(const std::vector<CheckItem>& items) {
    std::string names;
    for (const CheckItem& item : items) {
        if (!item.passed) names += (names.empty() ? "" : ",") + item.name;
    }
    return names;
}

}  // namespace

TEST_GROUP(CofferctlChecks) {
    config::Server server;
    ServerFacts facts;
    void setup() override {
        server.name = "main";
        server.streaming_archiver = true;
        server.slot_name = "s";
        facts.version = 150020;
        facts.superuser_or_backup_rights = true;
        facts.settings["wal_level"] = "replica";
        facts.slot_exists = facts.slot_active = facts.slot_has_position = true;
    }
};

TEST(CofferctlChecks, EachFaultOfTheServerFailsItsOwnItemOnly) {
    struct {
        void (*spoil)(ServerFacts&);
        const char* expected;
    } const cases[] = {{[](ServerFacts&) {}, ""},
                       {[](ServerFacts& f) { f.error = "refused"; }, "PostgreSQL"},
                       {[](ServerFacts& f) { f.streaming_error = "no"; }, "PostgreSQL streaming"},
                       {[](ServerFacts& f) { f.settings["wal_level"] = "minimal"; }, "wal_level"},
                       {[](ServerFacts& f) { f.superuser_or_backup_rights = false; }, "no access to backup functions"},
                       {[](ServerFacts& f) { f.slot_exists = false; }, "replication slot"},
                       {[](ServerFacts& f) { f.slot_active = false; }, "replication slot"},
                       {[](ServerFacts& f) { f.slot_has_position = false; }, "replication slot"}};
    for (const auto& c : cases) {
        ServerFacts spoiled = facts;
        c.spoil(spoiled);
        std::vector<CheckItem> items;
        check_postgres(server, spoiled, items);
        STRCMP_EQUAL(c.expected, failed(items).c_str());
    }
}

TEST(CofferctlChecks, OnlyARunningReceiverPasses) {
    for (const char* state : {"streaming", "catching-up"}) {
        std::vector<CheckItem> items;
        ReceiverView view;
        view.state = state;
        check_receiver(server, {view, {}}, items);
        STRCMP_EQUAL("", failed(items).c_str());
    }
    std::vector<CheckItem> items;
    check_receiver(server, {std::nullopt, "streamer not reachable"}, items);
    STRCMP_EQUAL("receive-wal running", failed(items).c_str());
    STRCMP_EQUAL("streamer not reachable", items[0].hint.c_str());
}

TEST(CofferctlChecks, AGapFailsUntilABackupBeginsBehindIt) {
    const std::vector<wal::WalGap> gaps{{1, Lsn{0x3000000}, Lsn{0x5000000}}, {1, Lsn{0x7000000}, Lsn{0x8000000}}};
    catalogue::BackupInfo backup;
    struct {
        Lsn begin;
        const char* hint;
    } const cases[] = {{Lsn{0x2000028}, "0/8000000"}, {Lsn{0x6000028}, "0/8000000"}, {Lsn{0x8000000}, ""}};
    for (const auto& c : cases) {
        backup.begin_xlog = c.begin;
        std::vector<CheckItem> items;
        check_gaps(gaps, &backup, items);
        CHECK_EQUAL(c.hint[0] == '\0', items[0].passed);
        STRCMP_CONTAINS(c.hint, items[0].hint.c_str());
    }
    std::vector<CheckItem> items;
    check_gaps(gaps, nullptr, items);
    CHECK(!items[0].passed);
    check_gaps({}, nullptr, items);
    UNSIGNED_LONGS_EQUAL(1, items.size());
}

TEST(CofferctlChecks, KeysAreMadeAsBarmanMakesThem) {
    const CheckItem item{"receive-wal running", true, ""};
    STRCMP_EQUAL("receive_wal_running", item.key().c_str());
    const CheckItem other{"PostgreSQL streaming", true, ""};
    STRCMP_EQUAL("postgresql_streaming", other.key().c_str());
}

TEST(CofferctlChecks, IgnoredValuesAreToldButFailNothing) {
    std::vector<CheckItem> items;
    check_configuration(server, items);
    CHECK(items.empty());
    server.problems = {
        {"/etc/main.conf", 7, "'compresion = gzip' is ignored: there is no such key", "did you mean 'compression'?"},
        {"/etc/main.conf", 9, "'archiver = yess' cannot be used and is ignored", "use on or off"}};
    check_configuration(server, items);
    LONGS_EQUAL(1, items.size());
    CHECK(items[0].passed);
    STRCMP_EQUAL(
        "WARNING: /etc/main.conf:7: 'compresion = gzip' is ignored: there is no such key; "
        "/etc/main.conf:9: 'archiver = yess' cannot be used and is ignored",
        items[0].hint.c_str());
}

TEST(CofferctlChecks, TheScrubFailsForDamageAndForWhatIsOverdue) {
    const auto item_of = [](const scrub::Standing& standing) {
        std::vector<CheckItem> items;
        check_scrub(standing, std::chrono::days(28), items);
        return items.at(0);
    };
    scrub::Standing standing;
    CHECK(item_of(standing).passed);
    standing.oldest = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 1));
    CHECK(item_of(standing).passed);
    STRCMP_EQUAL("oldest proof 2026-11-01 00:00:00 UTC, each within 28 days", item_of(standing).hint.c_str());
    standing.overdue = true;
    CHECK(!item_of(standing).passed);
    standing.overdue = false;
    standing.damage = {"WAL 000000010000000000000003 is bad", "b", "c", "d"};
    CHECK(!item_of(standing).passed);
    STRCMP_EQUAL("4 damaged: WAL 000000010000000000000003 is bad; b; c; …", item_of(standing).hint.c_str());
}
