#include "lib/bus/service_main.h"

#include <cstdio>
#include <cstring>

#include "lib/base/log.h"
#include "lib/bus/log_control.h"

namespace coffer {
namespace {

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

// Everything that a running service watches besides its own.
class Runner {
  public:
    Runner(const ServiceDescription& description, const ServiceOptions& options) : description_(description) {
        // Signals first: threads that start() makes inherit the mask.
        sources_.push_back(loop_.on_signal(SIGTERM, [this] { stop(); }));
        sources_.push_back(loop_.on_signal(SIGINT, [this] { stop(); }));
        sources_.push_back(loop_.on_signal(SIGHUP, [this] { reload(); }));
        ::signal(SIGPIPE, SIG_IGN);
        loop_.enable_watchdog();
        bus_.attach(loop_);
        log_control_.emplace(bus::publish_log_control(bus_, description.program));
        service_ = description.start({loop_, bus_, options});
        bus_.request_name(description.bus_name);
        service_->named();
    }

    int run() {
        notify_ready();
        log_info("{} {} is ready", description_.program, COFFER_VERSION);
        const int status = loop_.run();
        notify_stopping();
        return status;
    }

  private:
    void stop() {
        if (std::exchange(stopping_, true)) return;
        notify_stopping();
        if (!run_guarded("stop", [this] { service_->stop([this] { loop_.exit(0); }); })) loop_.exit(1);
    }
    void reload() {
        notify_reloading();
        run_guarded("reload", [this] { service_->reload(); });
        notify_ready();
    }

    const ServiceDescription& description_;
    EventLoop loop_;
    bus::Bus bus_ = bus::Bus::open_system();
    std::vector<EventSource> sources_;
    std::optional<bus::BusObject> log_control_;
    std::unique_ptr<Service> service_;
    bool stopping_ = false;
};

int run(int argc, char** argv, const ServiceDescription& description) {
    const ServiceOptions options = parse_service_options(argc, argv);
    switch (options.action) {
        case ServiceOptions::Action::help:
            print(service_help(description.program, description.purpose));
            return 0;
        case ServiceOptions::Action::version:
            print(description.program + " " + COFFER_VERSION + "\n");
            return 0;
        case ServiceOptions::Action::introspect:
            print(description.introspect());
            return 0;
        case ServiceOptions::Action::run:
            break;
    }
    if (options.log_level) set_log_level(*options.log_level);
    Runner runner(description, options);
    return runner.run();
}

}  // namespace

int run_service(int argc, char** argv, const ServiceDescription& description) noexcept {
    try {
        return run(argc, argv, description);
    } catch (const Error& error) {
        notify_status("Failed: " + std::string(error.what()));
        log_error("{}: {}", description.program, error.full_text());
    } catch (const std::exception& error) {
        log_error("{}: {}", description.program, error.what());
    }
    return 1;
}

}  // namespace coffer
