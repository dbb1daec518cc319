#include "streamer/exposure.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::streamer;
using namespace std::chrono_literals;

namespace {

MonotonicTime at(std::chrono::microseconds time) {
    return MonotonicTime{} + time;
}

}  // namespace

TEST_GROUP(Exposure) {
    ExposureMeter meter{at(0s)};
    std::chrono::seconds exposure(std::chrono::seconds now) {
        return std::chrono::duration_cast<std::chrono::seconds>(meter.exposure(at(now)));
    }
};

TEST(Exposure, IsTheTimeSinceAllWasKnownToBeHereBeforeTheFirstConnection) {
    LONGS_EQUAL(7, exposure(7s).count());
}

TEST(Exposure, DoesNotFallWhenTheFirstIsHeardBehindASilence) {
    meter.connected(Lsn{100}, Lsn{100}, at(4s));
    meter.silent();
    LONGS_EQUAL(9, exposure(13s).count());
    meter.heard(Lsn{900}, at(14s));
    LONGS_EQUAL(10, exposure(14s).count());
    meter.disconnected();
    LONGS_EQUAL(16, exposure(20s).count());
}

TEST(Exposure, IsZeroWhileEverythingIsDurable) {
    meter.connected(Lsn{100}, Lsn{100}, at(10s));
    LONGS_EQUAL(0, exposure(500s).count());
}

TEST(Exposure, IsTheAgeOfTheOldestPositionThatIsMissing) {
    meter.connected(Lsn{100}, Lsn{100}, at(10s));
    meter.heard(Lsn{200}, at(20s));
    meter.heard(Lsn{300}, at(25s));
    LONGS_EQUAL(10, exposure(30s).count());
    meter.durable(Lsn{250});
    LONGS_EQUAL(6, exposure(31s).count());
    meter.durable(Lsn{300});
    LONGS_EQUAL(0, exposure(32s).count());
}

TEST(Exposure, GrowsFromTheLastGoodMomentWhileDisconnected) {
    meter.connected(Lsn{100}, Lsn{100}, at(10s));
    meter.heard(Lsn{100}, at(20s));  // a keepalive
    meter.disconnected();
    LONGS_EQUAL(5, exposure(25s).count());
    meter.connected(Lsn{900}, Lsn{100}, at(30s));  // the server went on meanwhile
    LONGS_EQUAL(11, exposure(31s).count());
    meter.durable(Lsn{900});
    LONGS_EQUAL(0, exposure(33s).count());
}

TEST(Exposure, KeepsTheOldestAgeWhenTheConnectionBreaksBehind) {
    meter.connected(Lsn{100}, Lsn{100}, at(10s));
    meter.heard(Lsn{200}, at(20s));
    meter.disconnected();
    LONGS_EQUAL(10, exposure(30s).count());
}

TEST(Exposure, NeverShowsLessThanItIsWhenItMergesManyPositions) {
    meter.connected(Lsn{1}, Lsn{1}, at(0s));
    for (int n = 2; n <= 2000; ++n) meter.heard(Lsn{static_cast<std::uint64_t>(n)}, at(std::chrono::seconds(n)));
    LONGS_EQUAL(1998, exposure(2000s).count());
    meter.durable(Lsn{1900});
    CHECK(exposure(2000s) >= 99s);
    meter.durable(Lsn{2000});
    LONGS_EQUAL(0, exposure(2000s).count());
}

TEST(Exposure, IsNearlyRightHoweverLongALagStaysTheSame) {
    meter.connected(Lsn{1}, Lsn{1}, at(0s));
    constexpr std::uint64_t lag = 2000;  // positions, and so 20 s
    for (std::uint64_t n = 2; n <= 50000; ++n) {
        const auto now = n * 10ms;
        meter.heard(Lsn{n}, at(now));
        if (n <= 2 * lag) continue;
        meter.durable(Lsn{n - lag});
        const auto truth = std::chrono::microseconds((lag - 1) * 10ms);
        CHECK(meter.exposure(at(now)) >= truth);
        CHECK(meter.exposure(at(now)) <= truth * 7 / 6);
    }
    for (std::uint64_t n = 50000 - lag + 1; n < 50000; ++n) {  // and while it is caught up with
        meter.durable(Lsn{n});
        const auto truth = std::chrono::microseconds((50000 - n - 1) * 10ms);
        CHECK(meter.exposure(at(50000 * 10ms)) >= truth);
        CHECK(meter.exposure(at(50000 * 10ms)) <= truth * 7 / 6 + 1ms);
    }
}

TEST(Exposure, GrowsFromTheLastMessageWhileAnAnswerIsOverdue) {
    meter.connected(Lsn{100}, Lsn{100}, at(10s));
    meter.heard(Lsn{100}, at(20s));
    LONGS_EQUAL(0, exposure(24s).count());
    meter.silent();
    LONGS_EQUAL(4, exposure(24s).count());
    meter.disconnected();
    LONGS_EQUAL(5, exposure(25s).count());
    meter.connected(Lsn{100}, Lsn{100}, at(26s));
    LONGS_EQUAL(0, exposure(27s).count());
    meter.silent();
    meter.heard(Lsn{100}, at(28s));
    LONGS_EQUAL(0, exposure(29s).count());
}

TEST(Exposure, WhatIsSyncedLaterIsKnownToBeAllOnlyAsOfTheLastMessage) {
    meter.connected(Lsn{100}, Lsn{100}, at(10s));
    meter.heard(Lsn{200}, at(20s));
    meter.durable(Lsn{200});  // by a slow disk, long after
    meter.disconnected();
    LONGS_EQUAL(10, exposure(30s).count());
}
