#pragma once
// A fixed number of threads that take work in the order it was given, and let others have the processor first: commits
// wait for the streamer, nobody waits for the archive. Results go back to the loop through a Mailbox.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace coffer::archiver {

class WorkerPool {
  public:
    // on_idle: called by a thread that finds nothing more to do; must not throw.
    explicit WorkerPool(
        unsigned threads, std::function<void()> on_idle = [] {});
    // Waits for the work that has begun; what has not begun is dropped.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // Thread-safe. work must not throw.
    void submit(std::function<void()> work);
    [[nodiscard]] unsigned size() const noexcept { return static_cast<unsigned>(threads_.size()); }

  private:
    void run();
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> waiting_;
    bool ending_ = false;
    std::function<void()> on_idle_;
    std::vector<std::thread> threads_;
};

}  // namespace coffer::archiver
