#include "lib/base/parallel.h"

#include <CppUTest/TestHarness.h>

#include <atomic>
#include <stdexcept>
#include <vector>

using namespace coffer;

TEST_GROUP(Parallel){};

TEST(Parallel, DoesEachThingOnce) {
    for (const unsigned jobs : {0U, 1U, 4U}) {
        std::vector<std::atomic<int>> done(1000);
        run_parallel(done.size(), jobs, [&](std::size_t index) { ++done[index]; });
        for (const auto& count : done) LONGS_EQUAL(1, count.load());
    }
    run_parallel(0, 4, [](std::size_t) { FAIL("nothing was to be done"); });
}

TEST(Parallel, ThrowsTheFirstExceptionAndStops) {
    std::atomic<std::size_t> begun{0};
    try {
        run_parallel(1'000'000, 4, [&](std::size_t) {
            ++begun;
            throw std::runtime_error("no more");
        });
        FAIL("nothing was thrown");
    } catch (const std::runtime_error& error) {
        STRCMP_EQUAL("no more", error.what());
    }
    CHECK(begun <= 4);
}
