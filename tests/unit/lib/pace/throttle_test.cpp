#include "lib/pace/throttle.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::pace;
using namespace std::chrono_literals;

namespace {

// Time passes only where somebody waits, or the test says so.
struct StoppedClock : Clock {
    MonotonicTime time{};
    [[nodiscard]] MonotonicTime monotonic() const override { return time; }
};

}  // namespace

TEST_GROUP(PaceThrottle) {
    StoppedClock clock;
    std::chrono::microseconds waited{0};
    Throttle::Pause pause = [this](std::chrono::microseconds wait) {
        waited += wait;
        clock.time += wait;
    };
};

TEST(PaceThrottle, ReadsNoMoreThanTheRateAllows) {
    Throttle throttle(1'000'000, clock, pause);
    for (int i = 0; i < 100; ++i) throttle.took(100'000);
    LONGS_EQUAL(10'000'000, throttle.total());
    CHECK(waited >= 9990ms && waited <= 10010ms);
}

TEST(PaceThrottle, DoesNotMakeUpForTimeThatWasNotUsed) {
    Throttle throttle(1'000'000, clock, pause);
    clock.time += 1h;
    for (int i = 0; i < 10; ++i) throttle.took(100'000);
    CHECK(waited >= 990ms);
}

TEST(PaceThrottle, HasNoLimitWithoutARate) {
    Throttle throttle(0, clock, pause);
    throttle.took(1ULL << 40);
    CHECK(waited == 0us);
}
