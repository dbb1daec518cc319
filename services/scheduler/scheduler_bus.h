#pragma once
// The scheduler on the bus: org.pgcoffer.Scheduler1.Manager at /org/pgcoffer/Scheduler1, and org.pgcoffer.Job1 for each
// job below it. Parses, checks, calls the domain, answers.
#include <map>
#include <optional>

#include "lib/bus/bus_object.h"
#include "lib/bus/service_main.h"
#include "services/scheduler/scheduler.h"

namespace coffer::scheduler {

inline constexpr char bus_name[] = "org.pgcoffer.Scheduler1";
inline constexpr char root_path[] = "/org/pgcoffer/Scheduler1";

bus::ObjectPath path_of(JobId id);

class SchedulerBus : public Service, private Observer {
  public:
    SchedulerBus(EventLoop& loop, bus::Bus& bus, const Clock& clock, Places places);
    explicit SchedulerBus(const ServiceContext& context);

    void reload() override;
    void stop(std::function<void()> done) override;

  private:
    void job_added(const Job& job) override;
    void job_changed(const Job& job) override;
    void job_ended(const Job& job) override;
    void job_forgotten(JobId id) override;
    void tell_counts();

    bus::Bus& bus_;
    Path config_file_;
    bus::Slot object_manager_;
    Scheduler scheduler_;
    bus::BusObject manager_;
    std::map<JobId, bus::BusObject> jobs_;
};

// What --bus-introspect prints.
std::string introspection();

}  // namespace coffer::scheduler
