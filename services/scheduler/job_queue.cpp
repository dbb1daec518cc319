#include "services/scheduler/job_queue.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "services/scheduler/job_kinds.h"

namespace coffer::scheduler {
namespace {

constexpr std::string_view scrub_kind = "scrub";

}  // namespace

Job& JobQueue::add(const std::string& kind, const std::string& server, bus::Options options, uid_t started_by,
                   WallTime now) {
    for (const auto& [id, job] : jobs_) {
        if (job->state == JobState::finished || job->server != server || job->kind != kind || !is_exclusive(kind))
            continue;
        throw Error(ErrorCode::busy,
                    fmt::format("a {} of this server is {} already (job {})", kind, name_of(job->state), id), server,
                    "wait for its end, or cancel it");
    }
    if (kind != scrub_kind && waiting_but_scrubs() >= limits_.max_waiting) {
        throw Error(ErrorCode::busy, fmt::format("{} jobs are waiting already", limits_.max_waiting), {},
                    "wait until some of them have ended, or cancel them");
    }
    auto job = std::make_unique<Job>();
    job->id = next_id_++;
    job->kind = kind;
    job->server = server;
    job->options = std::move(options);
    job->started_by = started_by;
    job->queued = now;
    return *jobs_.emplace(job->id, std::move(job)).first->second;
}

Job* JobQueue::next_to_start() noexcept {
    for (const auto& [id, job] : jobs_) {
        if (job->state != JobState::queued) continue;
        const std::uint32_t most = is_exclusive(job->kind) ? limits_.max_backups : limits_.max_restores;
        if (running_of(job->kind) < most) return job.get();
    }
    return nullptr;
}

std::vector<JobId> JobQueue::finished(JobId id) {
    finished_.push_back(id);
    std::vector<JobId> dropped;
    while (finished_.size() > limits_.kept_finished) {
        dropped.push_back(finished_.front());
        jobs_.erase(finished_.front());
        finished_.pop_front();
    }
    return dropped;
}

Job& JobQueue::job(JobId id) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) {
        throw Error(ErrorCode::no_such_job, "no such job", std::to_string(id), "list the jobs to see which are known");
    }
    return *found->second;
}

std::vector<const Job*> JobQueue::jobs() const {
    std::vector<const Job*> all;
    for (const auto& [id, job] : jobs_) all.push_back(job.get());
    return all;
}

std::uint32_t JobQueue::running_of(const std::string& kind) const noexcept {
    return static_cast<std::uint32_t>(std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
        return entry.second->kind == kind && entry.second->active();
    }));
}

std::uint32_t JobQueue::running() const noexcept {
    return static_cast<std::uint32_t>(
        std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) { return entry.second->active(); }));
}

std::size_t JobQueue::waiting_but_scrubs() const noexcept {
    return static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) {
        return entry.second->state == JobState::queued && entry.second->kind != scrub_kind;
    }));
}

std::uint32_t JobQueue::queued() const noexcept {
    return static_cast<std::uint32_t>(std::count_if(
        jobs_.begin(), jobs_.end(), [](const auto& entry) { return entry.second->state == JobState::queued; }));
}

}  // namespace coffer::scheduler
