#pragma once
// One job as the scheduler knows it: what was asked, how far it is, how it ended. Values only; the queue owns it, the
// bus shows it (job_bus.h). Times are CLOCK_REALTIME, 0 in the form of the bus while not known.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/bus/message.h"

namespace coffer::scheduler {

using JobId = std::uint64_t;

enum class JobState { queued, running, canceling, finished };
enum class JobResult { none, done, failed, canceled };

std::string_view name_of(JobState state) noexcept;
// Empty for none.
std::string_view name_of(JobResult result) noexcept;

// As it came from the worker, or as the scheduler found it.
struct JobFailure {
    std::string name;  // org.pgcoffer.Error.*
    std::string message;
    std::string remedy;
};

struct Job {
    JobId id = 0;
    std::string kind;
    std::string server;
    bus::Options options;
    uid_t started_by = 0;

    JobState state = JobState::queued;
    JobResult result = JobResult::none;
    JobFailure failure;
    std::string backup_id;
    std::string warning;  // done, but somebody should look

    std::string phase;
    std::string message;
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;  // 0: not known
    std::uint64_t rate_bytes = 0;   // a second, over the last seconds
    WallTime queued{};
    std::optional<WallTime> started;
    std::optional<WallTime> ended;

    [[nodiscard]] bool active() const noexcept { return state == JobState::running || state == JobState::canceling; }
    // 0 to 1; -1 while not known.
    [[nodiscard]] double progress() const noexcept;
};

}  // namespace coffer::scheduler
