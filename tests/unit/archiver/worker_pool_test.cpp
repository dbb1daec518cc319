#include "services/archiver/worker_pool.h"

#include <CppUTest/TestHarness.h>

#include <atomic>
#include <chrono>
#include <future>

using namespace coffer::archiver;

TEST_GROUP(WorkerPool){};

TEST(WorkerPool, SaysThatNothingIsLeftToDoInTheThreadThatDidIt) {
    std::promise<std::thread::id> worked;
    std::promise<std::thread::id> idle;
    std::atomic<bool> busy{false};
    {
        WorkerPool pool(1, [&] {
            if (busy.exchange(false)) idle.set_value(std::this_thread::get_id());
        });
        pool.submit([&] {
            busy = true;
            worked.set_value(std::this_thread::get_id());
        });
        auto end = idle.get_future();
        CHECK(end.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
        CHECK(end.get() == worked.get_future().get());
    }
}
