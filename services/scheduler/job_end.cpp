#include "services/scheduler/job_end.h"

#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::scheduler {
namespace {

constexpr int exit_done = 0;
constexpr int exit_done_with_warning = 2;
constexpr int exit_canceled = 3;

JobFailure unexplained(const WorkerEnd& end) {
    JobFailure failure{std::string(bus_name_of(ErrorCode::internal)), {}, "look into the journal of coffer-scheduler"};
    if (end.signal_number != 0) {
        failure.message =
            fmt::format("the job was ended by signal {} ({})", end.signal_number, ::strsignal(end.signal_number));
    } else {
        failure.message = fmt::format("the job ended with status {} and gave no reason", end.exit_status);
    }
    return failure;
}

}  // namespace

JobOutcome outcome_of(const WorkerEnd& end, const std::optional<ProgressMessage>& last, bool canceling) {
    JobOutcome outcome;
    if (last) {
        outcome.result = last->result;
        outcome.backup_id = last->backup_id;
        outcome.warning = last->warning;
        outcome.failure = last->failure;
    } else if (end.signal_number == 0 && (end.exit_status == exit_done || end.exit_status == exit_done_with_warning)) {
        outcome.result = JobResult::done;
    } else if (canceling || (end.signal_number == 0 && end.exit_status == exit_canceled)) {
        outcome.result = JobResult::canceled;
    } else {
        outcome.failure = unexplained(end);
    }
    return outcome;
}

}  // namespace coffer::scheduler
