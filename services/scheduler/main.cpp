// coffer-scheduler: keeps the queue of jobs, runs each as a process of its own, and shows them on the bus.
#include "lib/bus/service_main.h"
#include "services/scheduler/scheduler_bus.h"

int main(int argc, char** argv) {
    return coffer::run_service(argc, argv,
                               {.program = "coffer-scheduler",
                                .purpose = "keeps the queue of jobs (backup, restore) and runs them",
                                .bus_name = coffer::scheduler::bus_name,
                                .introspect = [] { return coffer::scheduler::introspection(); },
                                .start = [](coffer::ServiceContext context) -> std::unique_ptr<coffer::Service> {
                                    return std::make_unique<coffer::scheduler::SchedulerBus>(context);
                                }});
}
