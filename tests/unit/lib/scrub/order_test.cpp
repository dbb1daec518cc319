#include "lib/scrub/order.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::scrub;

namespace {

const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 28));

Item item(const char* name, int days_ago, std::uint64_t bytes) {
    return {Item::Kind::image, name, now - std::chrono::days(days_ago), bytes};
}

}  // namespace

TEST_GROUP(ScrubOrder){};

TEST(ScrubOrder, TakesWhatWasLongestUnprovenFirst) {
    const Rota rota({item("b", 3, 10), item("a", 9, 10), item("c", 1, 10)}, std::chrono::days(28), now);
    STRCMP_EQUAL("a", rota.items()[0].name.c_str());
    STRCMP_EQUAL("b", rota.items()[1].name.c_str());
    STRCMP_EQUAL("c", rota.items()[2].name.c_str());
}

TEST(ScrubOrder, WhatWouldBeOverdueBeforeTheNextRunIsDue) {
    const Rota rota({item("old", 28, 1), item("nearly", 27, 1), item("not yet", 26, 1)}, std::chrono::days(28), now);
    CHECK(rota.due(rota.items()[0]));
    CHECK(rota.due(rota.items()[1]));
    CHECK(!rota.due(rota.items()[2]));
    CHECK(Rota({item("new", 0, 1)}, std::chrono::seconds(0), now).due(item("new", 0, 1)));
}

// One run a day, each with its share and what is due: nothing is ever proven later than the interval.
TEST(ScrubOrder, AShareADayKeepsTheInterval) {
    constexpr int days = 28;
    std::vector<Item> items;
    for (int i = 0; i < 100; ++i) items.push_back(item(std::to_string(i).c_str(), 0, 1000 + 37ULL * i));
    std::uint64_t most = 0, total = 0;
    for (const Item& each : items) total += each.bytes;
    for (int day = 1; day <= 5 * days; ++day) {
        const WallTime today = now + std::chrono::days(day);
        const Rota rota(items, std::chrono::days(days), today);
        std::uint64_t done = 0;
        for (const Item& each : rota.items()) {
            if (!rota.due(each) && done >= rota.share()) break;
            done += each.bytes;
            for (Item& mine : items) {
                if (mine.name == each.name) mine.since = today;
            }
        }
        most = std::max(most, done);
        for (const Item& each : items) CHECK(today - each.since <= std::chrono::days(days));
    }
    CHECK(most < total / days * 2);
}
