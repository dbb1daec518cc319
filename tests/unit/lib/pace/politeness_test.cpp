#include "lib/pace/politeness.h"

#include <CppUTest/TestHarness.h>

using namespace coffer::pace;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t megabyte = 1'000'000;
const Sample usual{2000us, 0us, 0};

}  // namespace

TEST_GROUP(Politeness) {
    Politeness polite{Manners::medium, usual};
};

TEST(Politeness, LetsABackupRunWhileNothingGrows) {
    LONGS_EQUAL(0, polite.look(usual, 500 * megabyte));
    LONGS_EQUAL(0, polite.look({20ms, 4s, 60 * megabyte}, 500 * megabyte));
    CHECK(polite.reason().empty());
}

TEST(Politeness, HalvesTheSpeedWithEachLookThatFindsSlowCommits) {
    LONGS_EQUAL(250 * megabyte, polite.look({30ms, {}, {}}, 500 * megabyte));
    CHECK_EQUAL(std::string("a commit takes 30.0 ms (usually 2.0 ms)"), polite.reason());
    LONGS_EQUAL(125 * megabyte, polite.look({30ms, {}, {}}, 250 * megabyte));
}

TEST(Politeness, HalvesTheSpeedWhereStandbysFallBehind) {
    LONGS_EQUAL(50 * megabyte, polite.look({2ms, 6s, 0}, 100 * megabyte));
    CHECK_EQUAL(std::string("replication is 6000.0 ms behind (usually 0.0 ms)"), polite.reason());
    LONGS_EQUAL(25 * megabyte, polite.look({2ms, {}, 65 * megabyte}, 50 * megabyte));
    CHECK_EQUAL(std::string("replication is 65 MB behind (usually 0 MB)"), polite.reason());
}

TEST(Politeness, NeverFallsBelowTheFloor) {
    for (int i = 0; i < 30; ++i) (void)polite.look({1s, {}, {}}, polite.rate() == 0 ? 500 * megabyte : polite.rate());
    LONGS_EQUAL(4 * megabyte, polite.rate());
}

TEST(Politeness, GrowsAgainAndIsUnlimitedInTheEnd) {
    (void)polite.look({30ms, {}, {}}, 20 * megabyte);
    LONGS_EQUAL(12 * megabyte, polite.look(usual, 10 * megabyte));
    int looks = 0;
    while (polite.look(usual, 20 * megabyte) != 0) CHECK(++looks < 50);
    CHECK(looks > 5);
}

TEST(Politeness, MeasuresAgainstWhatIsUsual) {
    Politeness slow_disk(Manners::medium, {50ms, 10s, 100 * megabyte});
    LONGS_EQUAL(0, slow_disk.look({200ms, 14s, 160 * megabyte}, 500 * megabyte));
    LONGS_EQUAL(250 * megabyte, slow_disk.look({230ms, 0s, 0}, 500 * megabyte));
}

TEST(Politeness, WhatCannotBeSeenIsNoReason) {
    LONGS_EQUAL(0, polite.look({}, 500 * megabyte));
}

TEST(Politeness, WhatIsUsualIsTheBestOfSeveralLooks) {
    const Sample best = best_of({3ms, {}, 5}, {2ms, 7s, 9});
    CHECK(best.commit == 2ms && best.lag == 7s);
    LONGS_EQUAL(5, *best.lag_bytes);
}

TEST(Politeness, HasANameForEachOfItsDegrees) {
    for (const auto each : {Manners::off, Manners::low, Manners::medium, Manners::high}) {
        CHECK(manners_named(name_of(each)) == each);
    }
    CHECK(!manners_named("very"));
}
