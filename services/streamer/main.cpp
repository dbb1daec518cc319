// coffer-streamer: receives the write-ahead log of every server as it is written.
#include <malloc.h>

#include "streamer/manager.h"

int main(int argc, char** argv) {
    // One heap per thread would cost each server more memory than its work does.
    ::mallopt(M_ARENA_MAX, 2);
    coffer::ServiceDescription description;
    description.program = "coffer-streamer";
    description.purpose = "receives the write-ahead log of every server as it is written";
    description.bus_name = coffer::streamer::bus_name;
    description.introspect = [] { return coffer::streamer::introspection(); };
    description.start = [](const coffer::ServiceContext& context) {
        return std::make_unique<coffer::streamer::Manager>(context);
    };
    return coffer::run_service(argc, argv, description);
}
