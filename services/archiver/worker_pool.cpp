#include "services/archiver/worker_pool.h"

#include <sys/resource.h>

#include <utility>

#include "lib/event/event_source.h"

namespace coffer::archiver {

namespace {

constexpr int niceness = 10;

}  // namespace

WorkerPool::WorkerPool(unsigned threads, std::function<void()> on_idle) : on_idle_(std::move(on_idle)) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        waiting_.clear();
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::submit(std::function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(work));
    }
    changed_.notify_one();
}

void WorkerPool::run() {
    (void)::setpriority(PRIO_PROCESS, 0, niceness);  // Linux: of this thread
    for (;;) {
        std::function<void()> work;
        {
            std::unique_lock lock(mutex_);
            if (!ending_ && waiting_.empty()) {
                lock.unlock();
                on_idle_();
                lock.lock();
            }
            changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
            if (ending_) return;
            work = std::move(waiting_.front());
            waiting_.pop_front();
        }
        run_guarded("worker", work);
    }
}

}  // namespace coffer::archiver
