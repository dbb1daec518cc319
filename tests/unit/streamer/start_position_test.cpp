#include "streamer/start_position.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::streamer;

namespace {

constexpr std::uint64_t MB = 1 << 20;
constexpr Lsn seg(std::uint64_t number, std::uint64_t offset = 0) {
    return Lsn{number * 16 * MB + offset};
}

struct Case {
    const char* name;
    TimelineId present;
    const char* history;
    std::map<TimelineId, Lsn> held;
    std::optional<Lsn> slot;
    Lsn server_end;
    std::optional<Lsn> removed;
    // expected
    TimelineId timeline;
    Lsn lsn;
    std::optional<Lsn> diverged;
    bool gap = false;
    bool behind = false;
};

// Timeline 2 began at segment 5, byte 0x100 (0/5000100).
const char* const left_1_in_5 = "1\t0/5000100\tno recovery target specified\n";
constexpr auto none = std::nullopt;

const Case cases[] = {
    {"nothing held: the slot's segment", 1, "", {}, seg(3, 77), seg(9), none, 1, seg(3), {}},
    {"nothing held, no slot: the server's segment", 1, "", {}, {}, seg(9, 5), none, 1, seg(9), {}},
    {"goes on where the held WAL ends", 1, "", {{1, seg(4, 88)}}, seg(3), seg(9), none, 1, seg(4, 88), {}},
    {"held is preferred to a later slot", 1, "", {{1, seg(4, 88)}}, seg(7), seg(9), none, 1, seg(4, 88), {}},
    {"all is held already", 1, "", {{1, seg(9)}}, seg(9), seg(9), none, 1, seg(9), {}},
    {"removed on the server: the slot, with a gap",
     1,
     "",
     {{1, seg(4, 88)}},
     seg(7, 5),
     seg(9),
     seg(4, 88),
     1,
     seg(7),
     {},
     true},
    {"the slot's is removed too: the present, with a gap",
     1,
     "",
     {{1, seg(4)}},
     seg(7),
     seg(9, 1),
     seg(7),
     1,
     seg(9),
     {},
     true},
    {"a slot behind what was removed is of no use",
     1,
     "",
     {{1, seg(8, 3)}},
     seg(8, 1),
     seg(9),
     seg(8, 3),
     1,
     seg(9),
     {},
     true},
    {"removed, no slot: the next segment", 1, "", {{1, seg(4, 88)}}, {}, seg(9), seg(4, 88), 1, seg(5), {}, true},
    {"removed up to a segment's end: the next one", 1, "", {{1, seg(4)}}, {}, seg(9), seg(4), 1, seg(5), {}, true},
    {"that is removed too: farther", 1, "", {{1, seg(4)}}, {}, seg(99), seg(5), 1, seg(7), {}, true},
    {"and farther", 1, "", {{1, seg(4)}}, {}, seg(99), seg(7), 1, seg(11), {}, true},
    {"but not beyond the present", 1, "", {{1, seg(4)}}, {}, seg(9, 5), seg(7), 1, seg(9), {}, true},
    {"what is held now is behind what was removed", 1, "", {{1, seg(7)}}, {}, seg(9), seg(5), 1, seg(7), {}},
    {"the next segment is of the next timeline",
     2,
     left_1_in_5,
     {{1, seg(4, 88)}},
     {},
     seg(9),
     seg(5),
     2,
     seg(7),
     {},
     true},
    {"the start of the next timeline is removed",
     2,
     left_1_in_5,
     {{1, seg(5, 0x100)}},
     {},
     seg(9),
     seg(5),
     2,
     seg(6),
     {},
     true},
    {"nothing held, the slot's is removed: the present", 1, "", {}, seg(3), seg(9, 5), seg(3), 1, seg(9), {}},
    {"server has less than is held", 1, "", {{1, seg(9, 9)}}, seg(9), seg(9, 8), none, 1, seg(9, 9), {}, false, true},
    {"old timeline is finished first", 2, left_1_in_5, {{1, seg(4, 88)}}, {}, seg(9), none, 1, seg(4, 88), {}},
    {"old timeline held to its end: the next from its segment",
     2,
     left_1_in_5,
     {{1, seg(5, 0x100)}},
     {},
     seg(9),
     none,
     2,
     seg(5),
     {}},
    {"held behind the switch: diverged", 2, left_1_in_5, {{1, seg(6, 1)}}, {}, seg(9), none, 2, seg(5), seg(6, 1)},
    {"newer timeline held: the old one does not matter",
     2,
     left_1_in_5,
     {{1, seg(6, 1)}, {2, seg(7, 1)}},
     {},
     seg(9),
     none,
     2,
     seg(7, 1),
     {}},
    {"slot on the old timeline", 2, left_1_in_5, {}, seg(4, 3), seg(9), none, 1, seg(4), {}},
    {"slot just behind the switch", 2, left_1_in_5, {}, seg(5, 0x100), seg(9), none, 2, seg(5), {}},
    {"a timeline that the server never had", 2, left_1_in_5, {{3, seg(8)}}, seg(7, 1), seg(9), none, 2, seg(7), seg(8)},
    {"another branch beside the common one",
     4,
     left_1_in_5,
     {{1, seg(4)}, {3, seg(8)}},
     seg(7),
     seg(9),
     none,
     1,
     seg(4),
     seg(8)},
    {"two switches", 3, "1\t0/5000100\tx\n2\t0/7000000\ty\n", {{2, seg(7)}}, {}, seg(9), none, 3, seg(7), {}},
};

}  // namespace

TEST_GROUP(StartPosition){};

TEST(StartPosition, IsDecidedByTheTable) {
    for (const Case& c : cases) {
        StartQuestion question;
        question.path = TimelinePath(c.present, c.history);
        question.held = c.held;
        question.slot_restart = c.slot;
        question.server_end = c.server_end;
        question.removed = c.removed;
        const Start start = decide_start(question);
        UNSIGNED_LONGS_EQUAL_TEXT(c.timeline, start.timeline, c.name);
        STRCMP_EQUAL_TEXT(c.lsn.to_string().c_str(), start.lsn.to_string().c_str(), c.name);
        CHECK_TEXT(c.diverged == start.diverged, c.name);
        CHECK_EQUAL_TEXT(c.gap, start.gap.has_value(), c.name);
        CHECK_EQUAL_TEXT(c.behind, start.server_behind, c.name);
    }
}

TEST(StartPosition, NamesTheGapFromWhatIsHeldToWhereItGoesOn) {
    StartQuestion question;
    question.held = {{1, seg(4, 88)}};
    question.slot_restart = seg(7, 5);
    question.removed = seg(4, 88);
    STRCMP_EQUAL("timeline 1 from 0/4000058 to 0/7000000", decide_start(question).gap->to_string().c_str());
}

TEST(StartPosition, SkipsNothingThatIsHeldBehindAHole) {
    StartQuestion question;
    question.held = {{1, seg(1, 88)}};
    question.behind = {{1, {seg(5), seg(7)}}};
    question.server_end = seg(9, 5);
    for (const auto& slot : {std::optional<Lsn>(), std::optional(seg(7, 3))}) {
        question.slot_restart = slot;
        question.removed = seg(4);  // all of the attempts before it
        const Start start = decide_start(question);
        CHECK(start.lsn == seg(7));
        CHECK(start.continues_held);
        STRCMP_EQUAL("timeline 1 from 0/1000058 to 0/5000000", start.gap->to_string().c_str());
    }
    question.slot_restart.reset();
    question.removed = seg(1, 88);
    CHECK(decide_start(question).lsn == seg(2));  // the server may have what is in between
}

TEST_GROUP(TimelinePath){};

TEST(TimelinePath, ReadsHistoriesWithCommentsAndEmptyLines) {
    const TimelinePath path(3, "# a comment\n\n1\t0/5000100\tbefore 2000-01-01 00:00:00\n2\t1/0\tno recovery target\n");
    UNSIGNED_LONGS_EQUAL(3, path.steps().size());
    UNSIGNED_LONGS_EQUAL(1, path.timeline_at(Lsn{0x50000FF}));
    UNSIGNED_LONGS_EQUAL(2, path.timeline_at(Lsn{0x5000100}));
    UNSIGNED_LONGS_EQUAL(3, path.timeline_at(Lsn{0x100000000}));
}

TEST(TimelinePath, RefusesWhatIsNoHistory) {
    for (const char* bad :
         {"x\t0/1\n", "1\n", "1\tzzz\n", "2\t0/5\t\n1\t0/6\t\n", "3\t0/5\n", "1\t0/6\t\n2\t0/5\t\n"}) {
        CHECK_THROWS(Error, TimelinePath(3, bad));
    }
}
