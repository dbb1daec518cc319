#pragma once
// The streamer's state: one receiver for each active, usable server that has streaming_archiver = on.
//
// Lives on the loop thread, which never waits for a receiver: a receiver that shall go is told so, and is removed when
// it reports its end. Configuration is read again at SIGHUP, at Reload(), and when its files change; only receivers
// whose own settings changed are restarted.
#include <map>
#include <memory>

#include "lib/bus/service_main.h"
#include "lib/config/config.h"
#include "lib/event/mailbox.h"
#include "streamer/receiver.h"
#include "streamer/server_object.h"

namespace coffer::streamer {

// The XML of all interfaces, for --bus-introspect.
std::string introspection();

class Manager : public Service {
  public:
    explicit Manager(const ServiceContext& context);
    ~Manager() override;

    void named() override;
    void reload() override;
    void stop(std::function<void()> done) override;

  private:
    struct Protected {  // a server, with its receiver when it has one
        config::Server server;
        bool on = true;        // Stop() turns it off until Start() or a restart of the service
        bool removed = false;  // from the configuration: goes when its receiver has ended
        std::unique_ptr<Receiver> receiver;
        ReceiverStatus last;  // of the one before, while there is none: what it knew stays true
        std::unique_ptr<ServerObject> object;
    };
    struct Letter {
        std::string server;
        ReceiverEvent event;
    };

    void declare_and_publish();
    void load();
    void apply(const config::Config& config);
    void add(const config::Server& server);
    void replace(Protected& entry, const config::Server& server);
    void start_receiver(Protected& entry);
    void receive(const Letter& letter);
    void ended(const std::string& name);
    void finish_if_idle();
    void watch_configuration();
    void tell_systemd() const;
    ServerObject::Handlers handlers_for(const std::string& name);
    Protected& entry_of(const std::string& name);

    EventLoop& loop_;
    bus::Bus& bus_;
    std::optional<Path> given_config_;
    Clock clock_;
    Preallocator preallocator_;
    Mailbox<Letter> mailbox_;
    std::map<std::string, Protected> servers_;
    config::Config config_;
    bus::Slot object_manager_;
    bus::BusObject object_;
    std::vector<EventSource> watches_;
    EventSource reload_timer_;
    EventSource heartbeat_;
    std::function<void()> done_;  // set: stopping
    bool named_ = false;          // on the bus; no receiver runs before
};

}  // namespace coffer::streamer
