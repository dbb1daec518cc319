#include "lib/restore/choose.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;
using catalogue::BackupInfo;
using catalogue::BackupStatus;

namespace {

BackupInfo backup(const char* id, BackupStatus status, const char* end_time, std::uint64_t end_lsn,
                  TimelineId timeline = 1, const char* name = "") {
    BackupInfo info;
    info.backup_id = id;
    info.backup_name = name;
    info.status = status;
    info.end_time = parse_time(end_time).time;
    info.end_xlog = Lsn{end_lsn};
    info.timeline = timeline;
    return info;
}

const std::vector<BackupInfo> backups{
    backup("20261101T000000", BackupStatus::failed, "2026-11-01 00:10Z", 0x1000000),
    backup("20261102T000000", BackupStatus::done, "2026-11-02 00:10Z", 0x2000000, 1, "weekly"),
    backup("20261103T000000", BackupStatus::done, "2026-11-03 00:10Z", 0x3000000, 1, "weekly"),
    backup("20261104T000000", BackupStatus::done, "2026-11-04 00:10Z", 0x4000000, 2),
    backup("20261105T000000", BackupStatus::failed, "2026-11-05 00:10Z", 0x5000000, 2),
};

std::string chosen(const char* wanted, const RestoreTarget& target = {}, TimelineId highest = 2) {
    return choose_backup(backups, wanted, target, [&](const BackupInfo& b) { return b.timeline <= highest; }).backup_id;
}

RestoreTarget until(TargetKind kind, const char* time, std::uint64_t lsn) {
    RestoreTarget target;
    target.kind = kind;
    if (kind == TargetKind::time) target.time = parse_time(time).time;
    target.lsn = Lsn{lsn};
    return target;
}

}  // namespace

TEST_GROUP(ChooseBackup){};

TEST(ChooseBackup, KnowsIdsNamesAndAliases) {
    STRCMP_EQUAL("20261104T000000", chosen("latest").c_str());
    STRCMP_EQUAL("20261104T000000", chosen("last").c_str());
    STRCMP_EQUAL("20261102T000000", chosen("oldest").c_str());
    STRCMP_EQUAL("20261102T000000", chosen("first").c_str());
    STRCMP_EQUAL("20261103T000000", chosen("weekly").c_str());
    STRCMP_EQUAL("20261105T000000", chosen("20261105T000000").c_str());
}

TEST(ChooseBackup, PicksTheNewestThatEndedBeforeTheTarget) {
    STRCMP_EQUAL("20261104T000000", chosen("auto").c_str());
    STRCMP_EQUAL("20261103T000000", chosen("auto", until(TargetKind::time, "2026-11-03 00:10Z", 0)).c_str());
    STRCMP_EQUAL("20261102T000000", chosen("auto", until(TargetKind::time, "2026-11-03 00:09Z", 0)).c_str());
    STRCMP_EQUAL("20261103T000000", chosen("auto", until(TargetKind::lsn, "", 0x3FFFFFF)).c_str());
    STRCMP_EQUAL("20261103T000000", chosen("auto", {}, 1).c_str());
}

TEST(ChooseBackup, SaysWhyItFindsNone) {
    const auto code = [](const char* wanted, const RestoreTarget& target) {
        try {
            chosen(wanted, target);
        } catch (const Error& error) {
            CHECK(!error.remedy().empty());
            return error.code();
        }
        return ErrorCode::internal;
    };
    CHECK(code("20270101T000000", {}) == ErrorCode::no_such_backup);
    CHECK(code("auto", until(TargetKind::time, "2026-11-01Z", 0)) == ErrorCode::target_unreachable);
    CHECK(code("auto", until(TargetKind::xid, "", 0)) == ErrorCode::invalid_argument);
    CHECK(code("auto", until(TargetKind::name, "", 0)) == ErrorCode::invalid_argument);
    CHECK(code("auto", until(TargetKind::immediate, "", 0)) == ErrorCode::invalid_argument);
    CHECK_THROWS(Error, choose_backup({}, "latest", {}, [](const BackupInfo&) { return true; }));
}

TEST(ChooseBackup, LatestFullNeedsNoOther) {
    std::vector<BackupInfo> chain(backups.begin(), backups.begin() + 3);
    chain[2].unknown["parent_backup_id"] = chain[1].backup_id;
    const auto any = [](const BackupInfo&) { return true; };
    STRCMP_EQUAL("20261103T000000", choose_backup(chain, "latest", {}, any).backup_id.c_str());
    STRCMP_EQUAL("20261102T000000", choose_backup(chain, "latest-full", {}, any).backup_id.c_str());
}
