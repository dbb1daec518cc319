#include "services/scheduler/job.h"

#include <algorithm>

namespace coffer::scheduler {

std::string_view name_of(JobState state) noexcept {
    switch (state) {
        case JobState::queued:
            return "queued";
        case JobState::running:
            return "running";
        case JobState::canceling:
            return "canceling";
        case JobState::finished:
            return "finished";
    }
    return "finished";
}

std::string_view name_of(JobResult result) noexcept {
    switch (result) {
        case JobResult::none:
            return "";
        case JobResult::done:
            return "done";
        case JobResult::failed:
            return "failed";
        case JobResult::canceled:
            return "canceled";
    }
    return "failed";
}

double Job::progress() const noexcept {
    if (result == JobResult::done) return 1.0;
    if (bytes_total == 0) return -1.0;
    return std::min(1.0, static_cast<double>(bytes_done) / static_cast<double>(bytes_total));
}

}  // namespace coffer::scheduler
