#include "services/scheduler/scheduler_bus.h"

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/config/config.h"
#include "services/scheduler/job_object.h"

namespace coffer::scheduler {
namespace {

using JobRow = std::tuple<std::uint64_t, std::string, std::string, bus::ObjectPath, std::string>;

uid_t sender_uid(const bus::Message& call) {
    sd_bus_creds* creds = nullptr;
    uid_t uid = static_cast<uid_t>(-1);
    if (sd_bus_query_sender_creds(call.get(), SD_BUS_CREDS_EUID, &creds) >= 0) sd_bus_creds_get_euid(creds, &uid);
    sd_bus_creds_unref(creds);
    return uid;
}

std::vector<JobRow> rows_of(const JobQueue& queue, std::uint64_t flags) {
    if ((flags & ~list_finished_too) != 0) {
        throw Error(ErrorCode::invalid_argument, fmt::format("unknown flags {:#x}", flags), {},
                    "use 0, or 1 for finished jobs as well");
    }
    std::vector<JobRow> rows;
    for (const Job* job : queue.jobs()) {
        if (job->state == JobState::finished && flags == 0) continue;
        rows.emplace_back(job->id, job->kind, job->server, path_of(job->id), std::string(name_of(job->state)));
    }
    return rows;
}

// scheduler is null when only the declaration is wanted.
void declare_manager(bus::BusObject& object, Scheduler* scheduler) {
    using namespace bus;
    object.method("Enqueue", {"server", "kind", "options"}, {"job_id", "job"}, Access::act,
                  [scheduler](Message& call, const std::string& server, const std::string& kind, Options options) {
                      const Job& job = scheduler->enqueue(server, kind, std::move(options), sender_uid(call));
                      return std::tuple(job.id, path_of(job.id));
                  });
    object.method("ListJobs", {"flags"}, {"jobs"}, Access::read,
                  [scheduler](std::uint64_t flags) { return rows_of(scheduler->queue(), flags); });
    object.method("GetJob", {"job_id"}, {"job"}, Access::read, [scheduler](std::uint64_t id) {
        for (const Job* job : scheduler->queue().jobs()) {
            if (job->id == id) return path_of(id);
        }
        throw Error(ErrorCode::no_such_job, "no such job", std::to_string(id), "list the jobs to see which are known");
    });
    object.method("CancelJob", {"job_id", "flags"}, {}, Access::act,
                  [scheduler](std::uint64_t id, std::uint64_t flags) {
                      refuse_flags(flags);
                      scheduler->cancel(id);
                  });
    object.property("Version", Emits::constant, [] { return std::string(COFFER_VERSION); });
    object.property("RunningJobs", Emits::change, [scheduler] { return scheduler->queue().running(); });
    object.property("QueuedJobs", Emits::change, [scheduler] { return scheduler->queue().queued(); });
    object.property("MaxBackups", Emits::constant, [scheduler] { return scheduler->queue().limits().max_backups; });
    object.property("MaxRestores", Emits::constant, [scheduler] { return scheduler->queue().limits().max_restores; });
    object.signal<std::uint64_t, ObjectPath, std::string, std::string>("JobNew", {"job_id", "job", "server", "kind"});
    object.signal<std::uint64_t, ObjectPath, std::string>("JobRemoved", {"job_id", "job", "result"});
}

constexpr char manager_interface[] = "org.pgcoffer.Scheduler1.Manager";

Places places_of(const ServiceContext& context) {
    return {config::find_config_file(context.options.config), context.options.runtime_dir, find_job_program()};
}

const Clock system_clock;

}  // namespace

bus::ObjectPath path_of(JobId id) {
    return {fmt::format("{}/job/_{}", root_path, id)};
}

SchedulerBus::SchedulerBus(EventLoop& loop, bus::Bus& bus, const Clock& clock, Places places)
    : bus_(bus),
      config_file_(places.config_file),
      object_manager_(bus.add_object_manager(root_path)),
      scheduler_(loop, clock, std::move(places), *this),
      manager_(root_path, manager_interface) {
    declare_manager(manager_, &scheduler_);
    manager_.publish(bus);
    notify_status("No job is running.");
}

SchedulerBus::SchedulerBus(const ServiceContext& context)
    : SchedulerBus(context.loop, context.bus, system_clock, places_of(context)) {
    reload();
}

// Each request reads the configuration anew; this only tells at once what is wrong with it.
void SchedulerBus::reload() {
    const config::Config config = config::load(config_file_);
    for (const config::Problem& problem : config.problems) log_warning("{}", problem.to_string());
}

void SchedulerBus::stop(std::function<void()> done) {
    scheduler_.shut_down(std::move(done));
}

void SchedulerBus::job_added(const Job& job) {
    bus::BusObject object(path_of(job.id).value, job_interface);
    declare_job(object, &job, [this, id = job.id] { scheduler_.cancel(id); });
    object.publish(bus_);
    jobs_.insert_or_assign(job.id, std::move(object));
    manager_.emit("JobNew", job.id, path_of(job.id), job.server, job.kind);
    tell_counts();
}

void SchedulerBus::job_changed(const Job& job) {
    jobs_.at(job.id).changed({"State", "Phase", "StartUSec"});
    tell_counts();
}

void SchedulerBus::job_ended(const Job& job) {
    bus::BusObject& object = jobs_.at(job.id);
    object.changed(
        {"State", "Result", "ErrorName", "ErrorMessage", "Remedy", "BackupId", "Warning", "StartUSec", "EndUSec"});
    const std::string result(name_of(job.result));
    object.emit("Finished", result, job.failure.name, job.failure.message);
    manager_.emit("JobRemoved", job.id, path_of(job.id), result);
    tell_counts();
}

void SchedulerBus::job_forgotten(JobId id) {
    jobs_.erase(id);
}

void SchedulerBus::tell_counts() {
    manager_.changed({"RunningJobs", "QueuedJobs"});
    const std::uint32_t running = scheduler_.queue().running();
    const std::uint32_t queued = scheduler_.queue().queued();
    if (running + queued == 0) {
        notify_status("No job is running.");
    } else {
        notify_status(fmt::format("{} jobs are running, {} queued.", running, queued));
    }
}

std::string introspection() {
    bus::BusObject manager(root_path, manager_interface);
    declare_manager(manager, nullptr);
    bus::BusObject job(path_of(1).value, job_interface);
    declare_job(job, nullptr, {});
    return bus::introspection_document({&manager, &job});
}

}  // namespace coffer::scheduler
