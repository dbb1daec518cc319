#include "lib/catalogue/completion.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"

using namespace coffer;
using namespace coffer::catalogue;

TEST_GROUP(Completion) {
    Path directory;
    config::Server server;
    BackupInfo info;
    void setup() override {
        char name[] = "/tmp/coffer-completion-XXXXXX";
        directory = ::mkdtemp(name);
        server.name = "main";
        server.backup_directory = directory;
        server.basebackups_directory = directory / "base";
        server.wals_directory = directory / "wals";
        server.incoming_wals_directory = directory / "incoming";
        server.streaming_wals_directory = directory / "streaming";
        server.errors_directory = directory / "errors";
        const Catalogue catalogue(server);
        catalogue.create_directories();
        info.backup_id = catalogue.claim_backup_id(Clock()).backup_id;
        info.status = BackupStatus::waiting_for_wals;
        info.begin_wal = "000000010000000000000003";
        info.end_wal = "000000010000000000000004";
        info.end_xlog = Lsn{0x4000100};
        catalogue.save(info);
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
    BackupStatus status() const {
        return Catalogue(server).get(info.backup_id).status;
    }
};

TEST(Completion, WaitsForEverySegment) {
    STRCMP_EQUAL("000000010000000000000003", first_missing_wal(server, info)->c_str());
    std::filesystem::create_directory(server.wals_directory / "0000000100000000");
    write_file_durably(server.wals_directory / "0000000100000000/000000010000000000000003", "x");
    STRCMP_EQUAL("000000010000000000000004", first_missing_wal(server, info)->c_str());
    CHECK(finish_waiting(server).empty());
    CHECK(status() == BackupStatus::waiting_for_wals);
    write_file_durably(server.streaming_wals_directory / "000000010000000000000004", "x");
    CHECK(!first_missing_wal(server, info).has_value());
    LONGS_EQUAL(1, finish_waiting(server).size());
    CHECK(status() == BackupStatus::done);
}

TEST(Completion, LeavesABackupWhoseWorkerStillWaitsToIt) {
    const BackupLock lock(server, info.backup_id);
    std::filesystem::create_directory(server.wals_directory / "0000000100000000");
    for (const char* const name : {"000000010000000000000003", "000000010000000000000004"}) {
        write_file_durably(server.wals_directory / "0000000100000000" / name, "x");
    }
    CHECK(finish_waiting(server).empty());
}

TEST(Completion, RefusesARecordThatDoesNotSayWhatItNeeds) {
    info.end_wal.clear();
    CHECK_THROWS(Error, (void)first_missing_wal(server, info));
}

TEST(Completion, OneLockThatCannotBeTakenIsNotInTheWayOfTheOthers) {
    BackupInfo locked = info;
    locked.backup_id = "20200101T000000";
    std::filesystem::create_directory(server.basebackups_directory / locked.backup_id);
    Catalogue(server).save(locked);
    std::filesystem::create_directory(backup_lock_path(server, locked.backup_id));  // no file, so it cannot be opened
    std::filesystem::create_directory(server.wals_directory / "0000000100000000");
    for (const char* const name : {"000000010000000000000003", "000000010000000000000004"}) {
        write_file_durably(server.wals_directory / "0000000100000000" / name, "x");
    }
    LONGS_EQUAL(1, finish_waiting(server).size());
    CHECK(status() == BackupStatus::done);
}

TEST(Completion, OneBadRecordIsNotInTheWayOfTheOthers) {
    BackupInfo bad = info;
    bad.backup_id = "20200101T000000";
    bad.begin_wal = bad.end_wal = "";
    std::filesystem::create_directory(server.basebackups_directory / bad.backup_id);
    Catalogue(server).save(bad);
    for (const char* const name : {"000000010000000000000003", "000000010000000000000004"}) {
        write_file_durably(server.streaming_wals_directory / name, "x");
    }
    LONGS_EQUAL(1, finish_waiting(server).size());
    CHECK(status() == BackupStatus::done);
}

TEST(Completion, ChecksOneBackupUntilItIsDone) {
    const auto waiting = check_backup(server, info.backup_id);
    CHECK(waiting.status == BackupStatus::waiting_for_wals);
    STRCMP_EQUAL("000000010000000000000003", waiting.missing->c_str());
    for (const char* const name : {"000000010000000000000003", "000000010000000000000004"}) {
        write_file_durably(server.streaming_wals_directory / name, "x");
    }
    const auto done = check_backup(server, info.backup_id);
    CHECK(done.status == BackupStatus::done && !done.missing);
    CHECK(status() == BackupStatus::done);
    std::filesystem::remove(server.streaming_wals_directory / "000000010000000000000004");
    const auto lacking = check_backup(server, info.backup_id);
    CHECK(lacking.status == BackupStatus::done && lacking.missing == "000000010000000000000004");
    CHECK(status() == BackupStatus::done);
}

TEST(Completion, ABackupWhoseWalIsLostFailsUntilItIsFound) {
    write_file_durably(server.streaming_wals_directory / "000000020000000000000009", "of another timeline");
    CHECK(check_backup(server, info.backup_id).status == BackupStatus::waiting_for_wals);
    write_file_durably(server.streaming_wals_directory / "000000010000000000000004", "x");
    write_file_durably(server.incoming_wals_directory / "000000010000000000000003", std::string(16 << 20, 'x'));
    CHECK(check_backup(server, info.backup_id).status == BackupStatus::waiting_for_wals);  // it is on its way
    std::filesystem::remove(server.incoming_wals_directory / "000000010000000000000003");
    CHECK(check_backup(server, info.backup_id).status == BackupStatus::failed);
    STRCMP_CONTAINS("000000010000000000000003", Catalogue(server).get(info.backup_id).error.c_str());
    LONGS_EQUAL(0, finish_waiting(server).size());
    write_file_durably(server.streaming_wals_directory / "000000010000000000000003", "x");
    LONGS_EQUAL(1, finish_waiting(server).size());  // by itself, when it has come nevertheless
    CHECK(check_backup(server, info.backup_id).status == BackupStatus::done);
    STRCMP_EQUAL("", Catalogue(server).get(info.backup_id).error.c_str());
}

TEST(Completion, LeavesTheStateToTheWorkerThatWaits) {
    const BackupLock lock(server, info.backup_id);
    for (const char* const name : {"000000010000000000000003", "000000010000000000000004"}) {
        write_file_durably(server.streaming_wals_directory / name, "x");
    }
    const auto checked = check_backup(server, info.backup_id);
    CHECK(checked.status == BackupStatus::waiting_for_wals && !checked.missing);
    CHECK(status() == BackupStatus::waiting_for_wals);
}
