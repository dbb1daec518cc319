#include "lib/wal/timeline_history.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr const char* third =
    "1\t0/3000158\tno recovery target specified\n\n2\t0/50000A0\tbefore transaction 734 at 2026-01-01 10:00:00+00\n";

TimelinePath path_to_three() {
    return TimelinePath(TimelineHistory::parse(third, 3, "00000003.history"));
}

}  // namespace

TEST_GROUP(TimelineHistory){};

TEST(TimelineHistory, ReadsWhatPostgresWrites) {
    const TimelineHistory history = TimelineHistory::parse(third, 3, "00000003.history");
    LONGS_EQUAL(2, history.ancestors.size());
    UNSIGNED_LONGS_EQUAL(1, history.ancestors[0].timeline);
    CHECK(history.ancestors[0].at == Lsn{0x3000158});
    STRCMP_EQUAL("no recovery target specified", history.ancestors[0].reason.c_str());
    CHECK(history.ancestors[1].at == Lsn{0x50000A0});
    STRCMP_EQUAL(third, history.format().c_str());
}

TEST(TimelineHistory, ToleratesCommentsBlankLinesAndAMissingReason) {
    const auto history = TimelineHistory::parse("# comment\n\n   \n  1 0/3000158\r\n#\n2\t0/50000A0", 7, "x");
    LONGS_EQUAL(2, history.ancestors.size());
    STRCMP_EQUAL("", history.ancestors[0].reason.c_str());
    LONGS_EQUAL(0, TimelineHistory::parse("", 2, "x").ancestors.size());
}

TEST(TimelineHistory, SaysWhichLineIsWrong) {
    const struct {
        const char* text;
        const char* message;
    } cases[] = {
        {"x\t0/3000158\t\n", "no timeline in line 1"},
        {"0\t0/3000158\t\n", "no timeline in line 1"},
        {"-1\t0/3000158\t\n", "no timeline in line 1"},
        {"99999999999\t0/1\n", "no timeline in line 1"},
        {"# fine\n1\n", "no position in line 2"},
        {"1\t03000158\n", "no position in line 1"},
        {"1\t0/3000158\n1\t0/4000000\n", "timelines do not rise in line 2"},
        {"1\t0/3000158\n2\t0/2000000\n", "positions do not rise in line 2"},
        {"1\t0/3000158\n3\t0/4000000\n", "an ancestor is no older than the timeline itself in line 2"},
    };
    for (const auto& row : cases) {
        try {
            TimelineHistory::parse(row.text, 3, "00000003.history");
            FAIL(row.text);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
            STRCMP_CONTAINS(row.message, error.what());
        }
    }
}

TEST(TimelineHistory, LeadsFromTheFirstTimelineToTheTarget) {
    const TimelinePath path = path_to_three();
    UNSIGNED_LONGS_EQUAL(3, path.target());
    UNSIGNED_LONGS_EQUAL(1, path.timeline_at(Lsn{0x1000000}));
    UNSIGNED_LONGS_EQUAL(1, path.timeline_at(Lsn{0x3000157}));
    UNSIGNED_LONGS_EQUAL(2, path.timeline_at(Lsn{0x3000158}));
    UNSIGNED_LONGS_EQUAL(3, path.timeline_at(Lsn{0x50000A0}));
    UNSIGNED_LONGS_EQUAL(3, path.timeline_at(Lsn{~0ULL}));
    CHECK(path.contains(1, Lsn{0x3000158}));
    CHECK(!path.contains(1, Lsn{0x3000159}));
    CHECK(path.contains(3, Lsn{0x9000000}));
    CHECK(!path.contains(4, Lsn{0x1000000}));
    CHECK(path.switch_from(2) == Lsn{0x50000A0});
    CHECK(!path.switch_from(3));
}

TEST(TimelineHistory, TakesASegmentFromTheNewestTimelineThatHasBegun) {
    const TimelinePath path = path_to_three();
    const SegmentSize size;
    const struct {
        std::uint64_t number;
        std::vector<TimelineId> candidates;
    } cases[] = {{2, {1}}, {3, {2, 1}}, {4, {2}}, {5, {3, 2}}, {6, {3}}};
    for (const auto& row : cases) CHECK(path.candidates(row.number, size) == row.candidates);
}

TEST(TimelineHistory, IsNeededForEveryTimelineButTheFirst) {
    const auto none = [](TimelineId) { return std::optional<std::string>(); };
    UNSIGNED_LONGS_EQUAL(1, TimelinePath::to(1, none).target());
    CHECK_THROWS(Error, TimelinePath::to(2, none));
    const auto one = [](TimelineId) { return std::optional<std::string>(third); };
    LONGS_EQUAL(3, TimelinePath::to(3, one).parts().size());
}
