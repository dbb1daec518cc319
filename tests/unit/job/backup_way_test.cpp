#include "services/job/backup_way.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::job;
using catalogue::BackupInfo;
using catalogue::BackupStatus;

namespace {

const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 27));

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_GROUP(BackupWay) {
    test::ServerFixture place;
    config::Server& server = place.server;
    ServerFacts facts;
    BackupInfo backup;
    void setup() override {
        facts.version = backup.version = 170002;
        facts.summarize_wal = facts.page_format_known = true;
        backup.systemid = 7;
        backup.data_checksums = true;
        backup.begin_time = now;
        backup.timeline = 2;
        backup.begin_xlog = Lsn{0x3000028};
        backup.begin_wal = "000000020000000000000003";
        facts.summaries = {{2, Lsn{0x2000028}, Lsn{0x3000028}}};
    }

    // One that can be built on, but for what change does to it.
    template <typename Change>
    void add(const char* id, Change change) {
        BackupInfo base = backup;
        base.backup_id = id;
        base.status = BackupStatus::done;
        base.begin_time = now - std::chrono::hours(24);
        change(base);
        const catalogue::Catalogue catalogue(server);
        std::filesystem::create_directories(catalogue.data_path(id));
        write_file_durably(catalogue.data_path(id) / "backup_manifest", "{}");
        catalogue.save(base);
    }
    void add(const char* id) {
        add(id, [](BackupInfo&) {});
    }
    BackupWay choose(const WayWanted& wanted = {}) {
        return choose_way(server, backup, facts, wanted);
    }
};

TEST(BackupWay, IsIncrementalFromTheNewestBackup) {
    add("20261125T000000");
    add("20261126T000000");
    STRCMP_EQUAL("20261126T000000", choose().base.c_str());
    STRCMP_EQUAL("", choose().reason.c_str());
    STRCMP_EQUAL("20261125T000000", choose({false, "oldest"}).base.c_str());
}

// A server that was set back does not know of what it lost.
TEST(BackupWay, BuildsOnNothingThatIsOfAnotherHistory) {
    add("20261125T000000");
    add("20261126T000000", [](BackupInfo& base) { base.begin_xlog = Lsn{0x4000028}; });
    STRCMP_EQUAL("20261125T000000", choose().base.c_str());
    facts.summaries = {{2, Lsn{0x3000028}, Lsn{0x5000028}}};
    STRCMP_EQUAL("20261125T000000", choose().base.c_str());
    facts.summaries = {{1, Lsn{0x3000028}, Lsn{0x5000028}}};
    STRCMP_EQUAL("", choose().base.c_str());
    CHECK(contains(choose().reason, "do not know the checkpoint that backup 20261126T000000 begins with"));
    facts.summaries = {{2, Lsn{0x3000028}, Lsn{0x5000028}}};
    for (const char* const harmless : {"000000020000000000000002.20261126T000000Z.duplicate",
                                       "000000010000000000000009.20261126T000000Z.duplicate", "rubbish.unknown"})
        write_file_durably(server.errors_directory / harmless, "");
    STRCMP_EQUAL("20261125T000000", choose().base.c_str());
    write_file_durably(server.errors_directory / "000000020000000000000004.20261126T000000Z.duplicate", "");
    STRCMP_EQUAL("", choose().base.c_str());
}

TEST(BackupWay, ReadsEverythingAgainWhereNobodyKnowsWhenThatWas) {
    add("20261126T000000");
    write_file_durably(server.meta_directory() / "20261126T000000-coffer.json", "{\"way\":");
    STRCMP_EQUAL("", choose().base.c_str());
    CHECK(contains(choose().reason, "nobody knows when every page"));
}

TEST(BackupWay, PassesOverWhatCannotBeBuiltOn) {
    add("20261124T000000");
    add("20261125T000000", [](BackupInfo& base) { base.status = BackupStatus::failed; });
    add("20261126T000000", [](BackupInfo& base) { base.systemid = 8; });
    add("20261126T010000", [](BackupInfo& base) { base.version = 160001; });
    add("20261126T020000", [](BackupInfo& base) { base.unknown["parent_backup_id"] = "20261101T000000"; });
    add("20261126T030000", [](BackupInfo& base) { base.data_checksums = false; });
    add("20261126T040000");
    std::filesystem::remove(catalogue::Catalogue(server).data_path("20261126T040000") / "backup_manifest");
    STRCMP_EQUAL("20261124T000000", choose().base.c_str());
}

TEST(BackupWay, TakesABarmanBackupThatIsNoIncrementalOne) {
    add("20261126T000000", [](BackupInfo& base) { base.unknown["parent_backup_id"] = "None"; });
    STRCMP_EQUAL("20261126T000000", choose().base.c_str());
}

TEST(BackupWay, IsFullAndSaysWhy) {
    CHECK(contains(choose().reason, "no earlier backup"));
    add("20261126T000000");
    CHECK(contains(choose({true, ""}).reason, "asked for"));
    backup.data_checksums = false;
    CHECK(contains(choose().reason, "checksums are off"));
    backup.data_checksums = true;
    server.full_read_interval = std::chrono::hours(24);
    CHECK(contains(choose().reason, "full_read_interval"));
    server.full_read_interval = std::chrono::hours(25);
    STRCMP_EQUAL("", choose().reason.c_str());
    for (const auto& [setting, part] : {std::pair(&facts.summarize_wal, "summarize_wal"),
                                        {&facts.page_format_known, "8 kB"},
                                        {&server.clone_images, "reuse_backup"}}) {
        *setting = false;
        CHECK(contains(choose().reason, part));
        CHECK(choose().base.empty());
        *setting = true;
    }
    facts.version = 160004;
    CHECK(contains(choose().reason, "PostgreSQL 16"));
}

TEST(BackupWay, KnowsWhenAllPagesWereLastRead) {
    add("20261126T000000");
    const catalogue::Catalogue catalogue(server);
    catalogue::Extra extra;
    extra.full_read_at = now - std::chrono::weeks(5);
    catalogue.save("20261126T000000", extra);
    CHECK(contains(choose().reason, "full_read_interval"));
}

TEST(BackupWay, RefusesABaseThatWillNotDo) {
    add("20261126T000000", [](BackupInfo& base) { base.status = BackupStatus::failed; });
    const auto code_of = [this](const char* base) {
        try {
            (void)choose({false, base});
        } catch (const Error& error) {
            CHECK(!error.remedy().empty());
            return error.code();
        }
        return ErrorCode::internal;
    };
    CHECK(code_of("20261126T000000") == ErrorCode::refused);
    CHECK(code_of("20260101T000000") == ErrorCode::no_such_backup);
}

TEST(BackupWay, BuildsOnNoDamagedBackup) {
    add("20261125T000000");
    add("20261126T000000");
    catalogue::Extra extra;
    extra.damage.push_back({"base/5/1259", "is missing", {}, now});
    catalogue::Catalogue(server).save("20261126T000000", extra);
    STRCMP_EQUAL("20261125T000000", choose().base.c_str());
    CHECK_THROWS(Error, choose({false, "20261126T000000"}));
}
