#include "lib/restore/timeline_path.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

namespace {

// 1 -- 2 (left 1 at 0x500) -- 4 (left 2 at 0x900)
//  \-- 3 (left 1 at 0x300)
const Histories fork{{2, {{1, Lsn{0x500}}}}, {3, {{1, Lsn{0x300}}}}, {4, {{1, Lsn{0x500}}, {2, Lsn{0x900}}}}};

ErrorCode refusal(TimelineId wanted, TimelineId from, std::uint64_t end) {
    try {
        path_to(wanted, from, Lsn{end}, fork);
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode::internal;
}

}  // namespace

TEST_GROUP(RecoveryPath){};

TEST(RecoveryPath, FollowsTheLatestThatDescendsFromTheBackup) {
    const TargetTimeline latest;
    UNSIGNED_LONGS_EQUAL(4, resolve(latest, 1, Lsn{0x200}, fork));
    UNSIGNED_LONGS_EQUAL(4, resolve(latest, 2, Lsn{0x600}, fork));
    UNSIGNED_LONGS_EQUAL(3, resolve(latest, 3, Lsn{0x600}, fork));
    UNSIGNED_LONGS_EQUAL(1, resolve(latest, 1, Lsn{0x600}, fork));
    UNSIGNED_LONGS_EQUAL(2, resolve(latest, 2, Lsn{0x901}, fork));
    UNSIGNED_LONGS_EQUAL(1, resolve({TargetTimeline::Kind::current, 0}, 1, Lsn{0x200}, fork));
    UNSIGNED_LONGS_EQUAL(9, resolve({TargetTimeline::Kind::number, 9}, 1, Lsn{0x200}, fork));
}

TEST(RecoveryPath, TellsWhichStretchComesFromWhichTimeline) {
    const TimelinePath path = path_to(4, 1, Lsn{0x200}, fork);
    UNSIGNED_LONGS_EQUAL(3, path.size());
    CHECK(path[0].timeline == 1 && path[0].end == Lsn{0x500});
    CHECK(path[1].timeline == 2 && path[1].begin == Lsn{0x500} && path[1].end == Lsn{0x900});
    CHECK(path[2].timeline == 4 && path[2].begin == Lsn{0x900} && path[2].end == no_end);
    UNSIGNED_LONGS_EQUAL(2, path_to(4, 2, Lsn{0x900}, fork).size());
    UNSIGNED_LONGS_EQUAL(1, path_to(3, 3, Lsn{0x900}, fork).size());
}

TEST(RecoveryPath, RefusesWhatTheBackupCannotReach) {
    CHECK(refusal(9, 1, 0x200) == ErrorCode::no_such_wal);
    CHECK(refusal(3, 2, 0x200) == ErrorCode::target_unreachable);
    CHECK(refusal(3, 1, 0x301) == ErrorCode::target_unreachable);
    CHECK(refusal(1, 2, 0x600) == ErrorCode::target_unreachable);
    CHECK(refusal(2, 4, 0x950) == ErrorCode::target_unreachable);
}
