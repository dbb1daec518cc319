#include "lib/catalogue/wal_release.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::catalogue;

namespace {

RemainingBackup backup(const char* id, const char* begin, const char* end, BackupStatus status = BackupStatus::done) {
    RemainingBackup result;
    result.info.backup_id = id;
    result.info.begin_wal = begin;
    result.info.end_wal = end;
    result.info.status = status;
    return result;
}

RemainingBackup standalone(const char* id, const char* begin, const char* end) {
    RemainingBackup result = backup(id, begin, end);
    result.standalone = true;
    return result;
}

const BackupInfo deleted = backup("20260105T000000", "000000010000000000000010", "000000010000000000000012").info;

}  // namespace

TEST_GROUP(WalRelease){};

TEST(WalRelease, FreesWhatLiesBeforeTheOldestBackupThatRemains) {
    const auto release =
        wal_released_by(deleted, {backup("20260107T000000", "000000010000000000000030", "000000010000000000000031"),
                                  backup("20260106T000000", "000000010000000000000020", "000000010000000000000021")});
    CHECK(release.has_value());
    CHECK(release->releases("000000010000000000000012"));
    CHECK(release->releases("00000001000000000000001F"));
    CHECK(release->releases("000000010000000000000010.00000028.backup"));
    CHECK(release->releases("00000001000000000000001F.partial"));
    CHECK(!release->releases("000000010000000000000020"));
    CHECK(!release->releases("000000010000000000000030"));
    CHECK(!release->releases("00000001.history"));
    CHECK(!release->releases("rubbish"));
}

TEST(WalRelease, FreesNothingWhileAnOlderBackupNeedsIt) {
    const auto newer = backup("20260106T000000", "000000010000000000000020", "000000010000000000000021");
    const auto older = backup("20260104T000000", "000000010000000000000005", "000000010000000000000006");
    CHECK(!wal_released_by(deleted, {newer, older}).has_value());
    auto failed = older;
    failed.info.status = BackupStatus::failed;
    CHECK(wal_released_by(deleted, {newer, failed}).has_value());
}

TEST(WalRelease, KeepsWhatAFailedBackupNeedsWhileItsFilesAreThere) {
    const auto newer = backup("20260106T000000", "000000010000000000000020", "000000010000000000000021");
    auto damaged =
        backup("20260104T000000", "000000010000000000000005", "000000010000000000000006", BackupStatus::failed);
    CHECK(wal_released_by(deleted, {newer, damaged}).has_value());
    damaged.files_kept = true;
    CHECK(!wal_released_by(deleted, {newer, damaged}).has_value());
}

TEST(WalRelease, KeepsTheRangesOfStandaloneBackups) {
    const auto release =
        wal_released_by(deleted, {standalone("20260104T000000", "000000010000000000000005", "000000010000000000000006"),
                                  backup("20260106T000000", "000000010000000000000020", "000000010000000000000021")});
    CHECK(release.has_value());
    CHECK(release->releases("000000010000000000000004"));
    CHECK(!release->releases("000000010000000000000005"));
    CHECK(!release->releases("000000010000000000000006"));
    CHECK(release->releases("000000010000000000000007"));
}

TEST(WalRelease, NeverTouchesTimelinesThatOtherBackupsAreOn) {
    // The oldest one left was taken on timeline 3, a later one on timeline 2 (an old standby).
    const auto release =
        wal_released_by(deleted, {backup("20260106T000000", "000000030000000000000020", "000000030000000000000021"),
                                  backup("20260107T000000", "000000040000000000000022", "000000040000000000000023")});
    CHECK(release.has_value());
    CHECK(release->releases("000000010000000000000012"));
    CHECK(release->releases("000000020000000000000012"));
    CHECK(release->releases("00000003000000000000001F"));
    CHECK(!release->releases("000000040000000000000012"));
}

TEST(WalRelease, FreesNothingWhenItCannotKnow) {
    CHECK(!wal_released_by(deleted, {}).has_value());
    CHECK(!wal_released_by(deleted, {backup("20260106T000000", "", "", BackupStatus::started)}).has_value());
    CHECK(!wal_released_by(deleted,
                           {standalone("20260106T000000", "000000010000000000000020", "000000010000000000000021")})
               .has_value());
}

TEST(WalRelease, FreesNothingWhileARecordCannotBeRead) {
    RemainingBackup unreadable = backup("20260110T000000", "", "", BackupStatus::failed);
    const RemainingBackup later = backup("20260120T000000", "000000010000000000000090", "000000010000000000000092");
    CHECK(wal_released_by(deleted, {unreadable, later}).has_value());  // it failed: it needs nothing
    unreadable.info.unreadable = true;
    CHECK(!wal_released_by(deleted, {unreadable, later}).has_value());
}
