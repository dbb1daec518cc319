#pragma once
// The archiver as a whole: reads the configuration, has one ArchivedServer and one bus object for each server, and
// follows what changes: the configuration's files, SIGHUP, and the streamer's signals. Loop thread.
#include <map>
#include <memory>

#include "lib/bus/service_main.h"
#include "services/archiver/archiver_bus.h"

namespace coffer::archiver {

class Manager : public Service {
  public:
    explicit Manager(ServiceContext context);
    ~Manager() override;

    void reload() override;
    void stop(std::function<void()> done) override;

  private:
    struct Entry {
        std::unique_ptr<ServerObject> object;
        std::unique_ptr<ArchivedServer> server;
        std::optional<config::Server> next;  // set: takes the place of server when that is closed
        EventSource end;                     // puts it away when server is closed
        bool leaving = false;                // not in the configuration any more
    };
    void apply(config::Config config);
    void start(const std::string& name, config::Server server);
    void replace(std::string name, Entry& entry);
    void closed(const std::string& name);
    void watch_configuration();
    void reload_soon();
    void update_status();
    [[nodiscard]] std::vector<ServerEntry> list() const;
    [[nodiscard]] std::vector<ConfigError> config_errors() const;

    ServiceContext context_;
    Clock clock_;
    Path main_file_;
    config::Config config_;
    WorkerPool compressors_;
    Background background_;
    Background deletions_;
    Background removals_;
    bus::Slot object_manager_;
    bus::BusObject object_;
    std::map<std::string, Entry> servers_;
    bus::Slot streamer_signals_;
    std::vector<EventSource> watches_;
    EventSource reload_timer_;
    std::function<void()> stopped_;
};

}  // namespace coffer::archiver
