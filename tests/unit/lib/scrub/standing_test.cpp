#include "lib/scrub/standing.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/verify/backup_files.h"
#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::scrub;
using catalogue::BackupInfo;

namespace {

const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 20));

}  // namespace

TEST_GROUP(ScrubStanding) {
    test::ServerFixture held;
    config::Server& server = held.server;

    void setup() override {
        server.scrub_interval = std::chrono::days(28);
    }
    BackupInfo backup(const char* id, int days_ago) {
        BackupInfo info;
        info.backup_id = id;
        info.server_name = "main";
        info.status = catalogue::BackupStatus::done;
        info.end_time = now - std::chrono::days(days_ago);
        std::filesystem::create_directories(server.basebackups_directory / id / "data" / "global");
        return info;
    }
};

TEST(ScrubStanding, WhatCannotBeProvenIsNotOverdue) {
    BackupInfo plain = backup("20261101T000000", 10);
    CHECK(can_be_proven(plain));
    const catalogue::Catalogue catalogue(server);
    catalogue.save(plain);
    int number = 0;
    for (const auto& [key, value] :
         {std::pair("encryption", "gpg"), {"snapshots_info", "{'x': 1}"}, {"parent_backup_id", "'20261101T000000'"}}) {
        BackupInfo other = backup(("2026010" + std::to_string(++number) + "T000000").c_str(), 300);
        other.unknown[key] = value;
        CHECK(!can_be_proven(other));
        catalogue.save(other);
    }
    BackupInfo said_none = plain;
    said_none.unknown["encryption"] = "None";
    CHECK(can_be_proven(said_none));
    CHECK(!standing_of(server, now).overdue);
    CHECK(standing_of(server, now + std::chrono::days(20)).overdue);
    catalogue.save(backup("20260105T000000", 200));
    CHECK(standing_of(server, now).overdue);
}

TEST(ScrubStanding, ADataDirectoryThatIsGoneIsAFault) {
    const std::string id = backup("20261101T000000", 10).backup_id;
    const catalogue::Catalogue catalogue(server);
    CHECK(!verify::fault_of_data(catalogue, id));
    const Path data = catalogue.data_path(id);
    std::filesystem::rename(data, data.string() + ".away");
    CHECK(verify::fault_of_data(catalogue, id) == "is no data directory any more");
    write_file_durably(data, "");
    CHECK(verify::fault_of_data(catalogue, id) == "is no data directory any more");
    std::filesystem::remove(data);
    std::filesystem::create_symlink("data", data);  // ELOOP: nobody can tell
    try {
        (void)verify::fault_of_data(catalogue, id);
        FAIL("it was told");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::io);
    }
}
