#include "streamer/manager.h"

#include <fmt/format.h>
#include <sys/inotify.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "streamer/manager_object.h"

namespace coffer::streamer {
namespace {

constexpr std::chrono::milliseconds settle_time{200};  // an editor writes several times
constexpr std::uint32_t file_changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;

bool wants_receiver(const config::Server& server) {
    return server.active && server.usable() && server.streaming_archiver;
}

bool same_settings(const config::Server& a, const config::Server& b) {
    const auto key = [](const config::Server& s) {
        return std::tie(s.wal_conninfo, s.wal_streaming_conninfo, s.streaming_archiver_name, s.slot_name, s.create_slot,
                        s.streaming_wals_directory, s.wals_directory, s.backup_directory);
    };
    return key(a) == key(b);
}

}  // namespace

Manager::Manager(const ServiceContext& context)
    : loop_(context.loop),
      bus_(context.bus),
      given_config_(context.options.config),
      mailbox_(loop_, [this](const Letter& letter) { receive(letter); }),
      object_manager_(bus_.add_object_manager(root_path)),
      object_(root_path, "org.pgcoffer.Streamer1.Manager") {
    declare_and_publish();
    load();
    heartbeat_ = loop_.every(std::chrono::seconds(1), [this] {
        for (auto& [name, entry] : servers_) entry.object->heartbeat();
    });
}

Manager::~Manager() = default;

void Manager::declare_and_publish() {
    ManagerHandlers handlers;
    handlers.list_servers = [this] {
        ManagerHandlers::Listed listed;
        for (auto& [name, entry] : servers_) {
            const auto state = handlers_for(name).status().state;
            listed.emplace_back(name, bus::ObjectPath{entry.object->path()}, std::string(name_of(state)));
        }
        return listed;
    };
    handlers.reload = [this] { load(); };
    handlers.config_errors = [this] {
        std::vector<ManagerHandlers::ConfigError> errors;
        const auto add = [&errors](const config::Problem& problem) {
            errors.emplace_back(problem.file.string(), static_cast<std::uint32_t>(std::max(0, problem.line)),
                                problem.text);
        };
        for (const auto& problem : config_.problems) add(problem);
        for (const auto& [name, server] : config_.servers) {
            for (const auto& problem : server.problems) add(problem);
        }
        return errors;
    };
    declare_manager(object_, handlers);
    object_.publish(bus_);
}

void Manager::named() {
    named_ = true;
    for (auto& [name, entry] : servers_) {
        try {
            start_receiver(entry);
        } catch (const Error& error) {  // no reason to leave the others alone
            log_error("{}: cannot be streamed: {}", name, error.full_text());
        }
    }
}

void Manager::reload() {
    load();
}

void Manager::load() {
    if (done_) return;
    config_ = config::load(config::find_config_file(given_config_));
    for (const auto& problem : config_.problems) log_warning("{}", problem.to_string());
    for (const auto& [name, server] : config_.servers) {
        for (const auto& problem : server.problems) log_warning("{}: {}", name, problem.to_string());
    }
    apply(config_);
    watch_configuration();
    object_.changed({"ConfigErrors"});
    tell_systemd();
}

void Manager::watch_configuration() {
    watches_.clear();
    const auto changed = [this](const FileChange&) {
        if (done_) return;
        reload_timer_ = loop_.on_timer(settle_time, [this] { load(); });
    };
    for (const Path& directory : {config_.main_file.parent_path(), config_.configuration_files_directory}) {
        std::error_code ignored;
        if (directory.empty() || !std::filesystem::is_directory(directory, ignored)) continue;
        watches_.push_back(loop_.on_file_change(directory, file_changes, changed));
    }
}

void Manager::apply(const config::Config& config) {
    for (auto& [name, entry] : servers_) {
        const auto found = config.servers.find(name);
        if (found != config.servers.end() && wants_receiver(found->second)) continue;
        entry.removed = true;
        if (entry.receiver) entry.receiver->request_stop();
    }
    std::erase_if(servers_, [](const auto& entry) { return entry.second.removed && !entry.second.receiver; });
    for (const auto& [name, server] : config.servers) {
        if (!wants_receiver(server)) continue;
        const auto found = servers_.find(name);
        try {
            if (found == servers_.end()) {
                add(server);
            } else {
                replace(found->second, server);
            }
        } catch (const Error& error) {  // no reason to leave the others alone
            log_error("{}: cannot be streamed: {}", name, error.full_text());
            if (const auto half = servers_.find(name); half != servers_.end() && !half->second.object)
                servers_.erase(half);
        }
    }
}

void Manager::add(const config::Server& server) {
    Protected& entry = servers_[server.name];
    entry.server = server;
    entry.object = std::make_unique<ServerObject>(bus_, server.name, handlers_for(server.name), clock_);
    start_receiver(entry);
}

void Manager::replace(Protected& entry, const config::Server& server) {
    const bool same = same_settings(entry.server, server) && !entry.removed;
    entry.server = server;
    entry.removed = false;
    if (same) return;
    log_info("{}: configuration changed, restarting its receiver", server.name);
    if (entry.receiver) {
        entry.receiver->request_stop();  // ended() starts the next one
    } else {
        start_receiver(entry);
    }
}

void Manager::start_receiver(Protected& entry) {
    if (!named_ || !entry.on || entry.removed || done_ || entry.receiver) return;
    const auto notify = [sender = mailbox_.sender(), name = entry.server.name](ReceiverEvent event) {
        sender.post({name, std::move(event)});
    };
    auto receiver = std::make_unique<Receiver>(entry.server, Receiver::Environment{preallocator_, clock_, notify});
    receiver->start();  // throws: then there is none whose end could be waited for
    entry.receiver = std::move(receiver);
}

void Manager::receive(const Letter& letter) {
    if (std::holds_alternative<ReceiverEnded>(letter.event)) return ended(letter.server);
    const auto found = servers_.find(letter.server);
    if (found == servers_.end()) return;
    if (const auto* segment = std::get_if<SegmentCompleted>(&letter.event)) {
        found->second.object->completed(*segment);
    } else {
        found->second.object->state_changed();
        tell_systemd();
    }
}

void Manager::ended(const std::string& name) {
    const auto found = servers_.find(name);
    if (found == servers_.end()) return;
    Protected& entry = found->second;
    entry.last = entry.receiver ? entry.receiver->status() : entry.last;
    entry.last.state = ReceiverState::stopped;
    entry.receiver.reset();
    if (entry.removed) {
        servers_.erase(found);
    } else {
        entry.object->state_changed();
        start_receiver(entry);
    }
    finish_if_idle();
}

void Manager::stop(std::function<void()> done) {
    done_ = std::move(done);
    for (auto& [name, entry] : servers_) {
        if (entry.receiver) entry.receiver->request_stop();
    }
    finish_if_idle();
}

void Manager::finish_if_idle() {
    if (!done_) return;
    for (const auto& [name, entry] : servers_) {
        if (entry.receiver) return;
    }
    done_();
}

void Manager::tell_systemd() const {
    std::size_t streaming = 0;
    for (const auto& [name, entry] : servers_) {
        if (entry.receiver && entry.receiver->status().state == ReceiverState::streaming) ++streaming;
    }
    notify_status(fmt::format("Streaming from {} of {} servers.", streaming, servers_.size()));
}

Manager::Protected& Manager::entry_of(const std::string& name) {
    const auto found = servers_.find(name);
    if (found == servers_.end()) throw Error(ErrorCode::no_such_server, "server is not streamed", name);
    return found->second;
}

ServerObject::Handlers Manager::handlers_for(const std::string& name) {
    ServerObject::Handlers handlers;
    handlers.status = [this, name] {
        const Protected& entry = entry_of(name);
        return entry.receiver ? entry.receiver->status() : entry.last;
    };
    handlers.slot_name = [this, name] { return entry_of(name).server.slot_name.value_or(""); };
    handlers.start = [this, name] {
        Protected& entry = entry_of(name);
        entry.on = true;
        start_receiver(entry);
    };
    handlers.stop = [this, name] {
        Protected& entry = entry_of(name);
        entry.on = false;
        if (entry.receiver) entry.receiver->request_stop();
    };
    handlers.restart = [this, name] {
        Protected& entry = entry_of(name);
        entry.on = true;
        if (entry.receiver) {
            entry.receiver->request_stop();
        } else {
            start_receiver(entry);
        }
    };
    return handlers;
}

}  // namespace coffer::streamer
