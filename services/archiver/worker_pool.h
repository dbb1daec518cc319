#pragma once
// A fixed number of threads that take work in the order it was given. Results go back to the loop through a Mailbox.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace coffer::archiver {

class WorkerPool {
  public:
    explicit WorkerPool(unsigned threads);
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
    std::vector<std::thread> threads_;
};

}  // namespace coffer::archiver
