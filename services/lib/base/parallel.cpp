#include "lib/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace coffer {

unsigned default_jobs() noexcept {
    return std::max(2U, std::thread::hardware_concurrency());
}

void run_parallel(std::size_t count, unsigned jobs, const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> stop{false};
    std::exception_ptr first;
    std::mutex mutex;
    const auto loop = [&]() noexcept {
        while (!stop) {
            const std::size_t index = next++;
            if (index >= count) return;
            try {
                work(index);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (!first) first = std::current_exception();
                stop = true;
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        const std::size_t wanted = std::min<std::size_t>(std::max(jobs, 1U), count);
        try {
            for (std::size_t i = 1; i < wanted; ++i) threads.emplace_back(loop);
        } catch (const std::system_error&) {  // no more threads for us (TasksMax=): those that there are do it
        }
        loop();
    }
    if (first) std::rethrow_exception(first);
}

void run_in_batches(std::size_t count, std::size_t batch, const std::function<void(std::size_t)>& work) {
    run_parallel((count + batch - 1) / batch, default_jobs(), [&](std::size_t number) {
        const std::size_t end = std::min(count, (number + 1) * batch);
        for (std::size_t index = number * batch; index < end; ++index) work(index);
    });
}

}  // namespace coffer
