#pragma once
// How a job ended, from its last message and from the end of its process.
#include <optional>

#include "services/scheduler/progress_message.h"
#include "services/scheduler/worker.h"

namespace coffer::scheduler {

struct JobOutcome {
    JobResult result = JobResult::failed;
    std::string backup_id;
    std::string warning;
    JobFailure failure;
};

// Exit status of coffer-job: 0 done, 1 failed, 2 done with a warning, 3 canceled (a backup). Its last message says
// more, but may be missing; a process that ended otherwise has failed, unless it was being canceled.
JobOutcome outcome_of(const WorkerEnd& end, const std::optional<ProgressMessage>& last_message, bool canceling);

}  // namespace coffer::scheduler
