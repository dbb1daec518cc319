#include "streamer/doubts.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::streamer;

TEST_GROUP(Doubts) {
    Doubts doubts;
    std::uint64_t believed(TimelineId timeline, std::uint64_t end) const {
        return doubts.believed(timeline, Lsn{end}).value;
    }
};

TEST(Doubts, WhatASyncFailedOnIsNotBelievedUntilAllOfItIsSyncedAgain) {
    doubts.distrust(1, Lsn{100}, Lsn{200});
    UNSIGNED_LONGS_EQUAL(100, believed(1, 150));
    UNSIGNED_LONGS_EQUAL(50, believed(1, 50));
    UNSIGNED_LONGS_EQUAL(150, believed(2, 150));
    doubts.synced(1, Lsn{120});
    UNSIGNED_LONGS_EQUAL(120, believed(1, 150));
    doubts.synced(2, Lsn{900});
    UNSIGNED_LONGS_EQUAL(120, believed(1, 150));
    doubts.synced(1, Lsn{200});
    UNSIGNED_LONGS_EQUAL(300, believed(1, 300));
}

TEST(Doubts, FurtherFailuresAddToIt) {
    doubts.distrust(1, Lsn{100}, Lsn{200});
    doubts.distrust(1, Lsn{150}, Lsn{300});
    doubts.distrust(1, Lsn{90}, Lsn{95});
    UNSIGNED_LONGS_EQUAL(90, believed(1, 400));
    doubts.synced(1, Lsn{299});
    UNSIGNED_LONGS_EQUAL(299, believed(1, 400));
    doubts.synced(1, Lsn{300});
    UNSIGNED_LONGS_EQUAL(400, believed(1, 400));
}
