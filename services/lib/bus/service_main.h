#pragma once
// The shape that all services share: options, signals, loop, bus, LogControl1, watchdog, READY=1.
//
//   int main(int argc, char** argv) {
//       return coffer::run_service(argc, argv, {
//           .program = "coffer-streamer",
//           .purpose = "receives the write-ahead log of every server",
//           .bus_name = "org.pgcoffer.Streamer1",
//           .introspect = [] { return streamer::introspection(); },  // bus::introspection_document({...})
//           .start = [](coffer::ServiceContext context) { return std::make_unique<streamer::Manager>(context); },
//       });
//   }
//
// Order: signals are blocked before any thread starts; start() publishes all objects; only then is the bus name
// requested and systemd told READY=1. An Error out of start() ends the process with status 1 and is logged with its
// remedy.
#include <functional>
#include <memory>
#include <string>

#include "lib/base/service_options.h"
#include "lib/bus/bus.h"
#include "lib/event/event_loop.h"

namespace coffer {

struct ServiceContext {
    EventLoop& loop;
    bus::Bus& bus;
    const ServiceOptions& options;
};

// Lives on the loop thread.
class Service {
  public:
    virtual ~Service() = default;
    // The service's name on the bus is its own now: what only one process may do begins here.
    virtual void named() {}
    // SIGHUP. A bad configuration is reported, never an end.
    virtual void reload() {}
    // SIGTERM or SIGINT, once: end what runs, then call done; the loop ends with it.
    virtual void stop(std::function<void()> done) { done(); }
};

struct ServiceDescription {
    std::string program;
    std::string purpose;
    std::string bus_name;
    std::function<std::string()> introspect;
    std::function<std::unique_ptr<Service>(ServiceContext)> start;
};

// The exit status of main(). Never throws.
int run_service(int argc, char** argv, const ServiceDescription& description) noexcept;

}  // namespace coffer
