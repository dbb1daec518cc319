#include "streamer/followed_timeline.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::streamer;

TEST_GROUP(FollowedTimeline) {
    test::ServerFixture fixture;
    void setup() override {
        std::filesystem::create_directories(fixture.server.meta_directory());
    }
    Path note() const {
        return fixture.server.meta_directory() / "coffer-timeline";
    }
    TimelineId newest() const {
        return newest_followed(fixture.server);
    }
};

TEST(FollowedTimeline, WithoutANoteAllThatIsHeldCountsWhereverItIs) {
    UNSIGNED_LONGS_EQUAL(0, newest());
    fixture.archive("000000010000000000000003", "");
    UNSIGNED_LONGS_EQUAL(1, newest());
    std::filesystem::create_directories(fixture.server.wals_directory / "0000000C00000000");  // emptied by a removal
    fixture.streaming("0000000D.history", "");
    UNSIGNED_LONGS_EQUAL(1, newest());
    fixture.archive("0000000C0000000000000003", "");
    UNSIGNED_LONGS_EQUAL(12, newest());
    fixture.streaming("000000100000000000000004.partial", "");
    UNSIGNED_LONGS_EQUAL(16, newest());
}

TEST(FollowedTimeline, WhatAClonesArchiveCommandBroughtDoesNotCount) {
    fixture.archive("000000010000000000000003", "");
    note_followed(fixture.server, 1);
    fixture.archive("000000020000000000000003", "");
    UNSIGNED_LONGS_EQUAL(1, newest());
    note_followed(fixture.server, 2);
    UNSIGNED_LONGS_EQUAL(2, newest());
}

TEST(FollowedTimeline, FilesMovedAwayTakeATimelineBack) {
    fixture.archive("000000010000000000000003", "");
    fixture.archive("000000020000000000000003", "");
    note_followed(fixture.server, 2);
    std::filesystem::remove_all(fixture.server.wals_directory / "0000000200000000");
    UNSIGNED_LONGS_EQUAL(1, newest());
}

TEST(FollowedTimeline, TheNoteOnlyRisesAndOneThatIsNoneIsWrittenAnew) {
    note_followed(fixture.server, 3);
    STRCMP_EQUAL("3\n", read_file(note())->c_str());
    note_followed(fixture.server, 2);
    STRCMP_EQUAL("3\n", read_file(note())->c_str());
    write_file_durably(note(), "nonsense");
    fixture.archive("000000050000000000000003", "");
    UNSIGNED_LONGS_EQUAL(5, newest());
    note_followed(fixture.server, 2);
    STRCMP_EQUAL("2\n", read_file(note())->c_str());
}

TEST(FollowedTimeline, ANoteThatCannotBeWrittenIsAnError) {
    std::filesystem::remove_all(fixture.server.meta_directory());
    CHECK_THROWS(Error, note_followed(fixture.server, 1));
}
