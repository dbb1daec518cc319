// coffer-archiver: owns the catalogue and the WAL archive of every server.
#include <sys/resource.h>

#include "services/archiver/manager.h"

int main(int argc, char** argv) {
    // What is here already can wait for what is being received: commits wait for that.
    (void)::setpriority(PRIO_PROCESS, 0, 5);
    return coffer::run_service(
        argc, argv,
        {
            .program = "coffer-archiver",
            .purpose = "stores the write-ahead log of every server, and answers what backups and WAL there are",
            .bus_name = coffer::archiver::bus_name,
            .introspect = [] { return coffer::archiver::introspection(); },
            .start =
                [](coffer::ServiceContext context) { return std::make_unique<coffer::archiver::Manager>(context); },
        });
}
