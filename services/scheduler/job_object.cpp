#include "services/scheduler/job_object.h"

#include <fmt/format.h>

namespace coffer::scheduler {
namespace {

std::uint64_t usec(WallTime time) {
    return static_cast<std::uint64_t>(time.time_since_epoch().count());
}
std::uint64_t usec(const std::optional<WallTime>& time) {
    return time ? usec(*time) : 0;
}

void declare_state(bus::BusObject& object, const Job* job) {
    using bus::Emits;
    object.property("State", Emits::change, [job] { return std::string(name_of(job->state)); });
    object.property("Result", Emits::change, [job] { return std::string(name_of(job->result)); });
    object.property("ErrorName", Emits::change, [job] { return job->failure.name; });
    object.property("ErrorMessage", Emits::change, [job] { return job->failure.message; });
    object.property("Remedy", Emits::change, [job] { return job->failure.remedy; });
    object.property("Warning", Emits::change, [job] { return job->warning; });
    object.property("BackupId", Emits::change, [job] { return job->backup_id; });
    object.property("Phase", Emits::change, [job] { return job->phase; });
    object.property("StartUSec", Emits::change, [job] { return usec(job->started); });
    object.property("EndUSec", Emits::change, [job] { return usec(job->ended); });
}

// These move fast: clients ask for them, a signal for each would be a storm.
void declare_progress(bus::BusObject& object, const Job* job) {
    using bus::Emits;
    object.property("Message", Emits::none, [job] { return job->message; });
    object.property("BytesDone", Emits::none, [job] { return job->bytes_done; });
    object.property("BytesTotal", Emits::none, [job] { return job->bytes_total; });
    object.property("RateBytes", Emits::none, [job] { return job->rate_bytes; });
    object.property("Progress", Emits::none, [job] { return job->progress(); });
}

}  // namespace

void refuse_flags(std::uint64_t flags) {
    if (flags != 0) throw Error(ErrorCode::invalid_argument, fmt::format("unknown flags {:#x}", flags), {}, "use 0");
}

void declare_job(bus::BusObject& object, const Job* job, std::function<void()> cancel) {
    using namespace bus;
    object.method("Cancel", {"flags"}, {}, Access::act, [cancel = std::move(cancel)](std::uint64_t flags) {
        refuse_flags(flags);
        cancel();
    });
    object.property("Id", Emits::constant, [job] { return job->id; });
    object.property("Kind", Emits::constant, [job] { return job->kind; });
    object.property("Server", Emits::constant, [job] { return job->server; });
    object.property("Subject", Emits::constant,
                    [job] { return encode_path("/org/pgcoffer/Archiver1/server", job->server); });
    object.property("StartedByUID", Emits::constant, [job] { return static_cast<std::uint32_t>(job->started_by); });
    object.property("QueuedUSec", Emits::constant, [job] { return usec(job->queued); });
    declare_state(object, job);
    declare_progress(object, job);
    object.signal<std::string, std::string, std::string>("Finished", {"result", "error_name", "message"});
}

}  // namespace coffer::scheduler
