#pragma once
// One datagram of a job about its progress, as services/job/progress.h sends it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/scheduler/job.h"

namespace coffer::scheduler {

struct ProgressMessage {
    std::string job_id;
    std::optional<std::string> phase;
    std::string message;
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    JobResult result = JobResult::none;  // the last message of a job has one
    std::string backup_id;
    std::string warning;
    JobFailure failure;
};

// nullopt for anything that is not such a message. Never throws on bad bytes.
std::optional<ProgressMessage> parse_progress(std::string_view datagram);

}  // namespace coffer::scheduler
