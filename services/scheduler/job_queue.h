#pragma once
// Which jobs there are, and which of them may start now. Knows nothing of processes and of the bus; loop thread only.
//
// Limits: one backup of a server at a time, max_backups on the whole machine (they share its disks and network);
// restores start beside them, for whoever restores cannot wait. Within a kind jobs start in the order in which they
// came.
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "services/scheduler/job.h"

namespace coffer::scheduler {

struct QueueLimits {
    std::uint32_t max_backups = 2;
    std::uint32_t max_restores = 8;
    std::size_t max_waiting = 64;  // scrubs left out: one of each server may wait, and keeps nobody else from it
    std::size_t kept_finished = 200;
};

class JobQueue {
  public:
    explicit JobQueue(QueueLimits limits = {}, JobId first_id = 1) : limits_(limits), next_id_(first_id) {}

    // busy: that server is being backed up or will be, or the queue is full.
    Job& add(const std::string& kind, const std::string& server, bus::Options options, uid_t started_by, WallTime now);
    // The next job that may start, if any; its state is still queued.
    Job* next_to_start() noexcept;
    // Puts an ended job among the finished ones; returns the jobs that fell out of them.
    std::vector<JobId> finished(JobId id);

    // no_such_job
    Job& job(JobId id);
    [[nodiscard]] std::vector<const Job*> jobs() const;
    [[nodiscard]] std::uint32_t running() const noexcept;
    [[nodiscard]] std::uint32_t queued() const noexcept;
    [[nodiscard]] const QueueLimits& limits() const noexcept { return limits_; }

  private:
    [[nodiscard]] std::uint32_t running_of(const std::string& kind) const noexcept;
    [[nodiscard]] std::size_t waiting_but_scrubs() const noexcept;

    QueueLimits limits_;
    JobId next_id_;
    std::map<JobId, std::unique_ptr<Job>> jobs_;  // in the order of coming
    std::deque<JobId> finished_;
};

}  // namespace coffer::scheduler
