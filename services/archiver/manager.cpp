#include "services/archiver/manager.h"

#include <sys/inotify.h>

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/wal/source_file.h"

namespace coffer::archiver {
namespace {

constexpr char streamer_servers[] = "/org/pgcoffer/Streamer1/server";
// Files of a configuration come in groups; they are read once, a moment after the last one.
constexpr std::chrono::milliseconds quiet_after_change{200};
constexpr unsigned background_threads = 2;

// One more than there are processors: while one waits for the disk, all of them compress.
unsigned compressor_count() {
    return std::max(1U, std::thread::hardware_concurrency()) + 1;
}

bool same(const config::Server& a, const config::Server& b) {
    return a.effective == b.effective && a.active == b.active && a.disabled == b.disabled &&
           a.wals_directory == b.wals_directory && a.incoming_wals_directory == b.incoming_wals_directory &&
           a.streaming_wals_directory == b.streaming_wals_directory && a.errors_directory == b.errors_directory &&
           a.xlogdb_directory == b.xlogdb_directory && a.basebackups_directory == b.basebackups_directory;
}

}  // namespace

Manager::Manager(ServiceContext context)
    : context_(context),
      main_file_(config::find_config_file(context.options.config)),
      compressors_(compressor_count(), &wal::SourceFile::drop_kept_memory),
      background_(context.loop, background_threads),
      deletions_(context.loop, 1),
      removals_(context.loop, 1),
      object_manager_(context.bus.add_object_manager(root_path)),
      object_(manager_object({[this] { return list(); }, [this] { return config_errors(); }, [this] { reload(); }})) {
    object_.publish(context_.bus);
    apply(config::load(main_file_));
    watch_configuration();
    streamer_signals_ = context_.bus.on_signal({"org.pgcoffer.Streamer1", "", "org.pgcoffer.Streamer1.Server"},
                                               "SegmentCompleted", [this](bus::Message& message) {
                                                   const auto name = bus::decode_path(streamer_servers, message.path());
                                                   const auto found = name ? servers_.find(*name) : servers_.end();
                                                   if (found == servers_.end() || !found->second.server) return;
                                                   found->second.server->found_streamed(message.read<std::string>());
                                               });
}

Manager::~Manager() = default;

void Manager::reload() {
    reload_timer_.reset();
    try {
        apply(config::load(main_file_));
        watch_configuration();
    } catch (const Error& error) {
        log_error("configuration is not read anew, the old one stays: {}", error.full_text());
    }
}

void Manager::stop(std::function<void()> done) {
    watches_.clear();
    streamer_signals_.reset();
    stopped_ = std::move(done);
    for (auto& [name, entry] : servers_) {
        entry.next.reset();
        entry.leaving = true;
        if (entry.server) {
            entry.server->close([this, name = name] { closed(name); });
        } else {
            closed(name);
        }
    }
    if (servers_.empty()) std::exchange(stopped_, nullptr)();
}

void Manager::apply(config::Config config) {
    config_ = std::move(config);
    for (auto& [name, entry] : servers_) {
        const auto wanted = config_.servers.find(name);
        entry.leaving = wanted == config_.servers.end();
        // One that is closing does not come back, even when all is as before.
        if (!entry.leaving && entry.server && !entry.server->closing() &&
            same(*entry.server->server(), wanted->second)) {
            entry.next.reset();
            continue;
        }
        if (!entry.leaving) entry.next = wanted->second;
        entry.object->attach(nullptr);
        if (entry.server) entry.server->close([this, name = name] { closed(name); });
    }
    for (const auto& [name, server] : config_.servers) {
        if (servers_.count(name) != 0) continue;
        try {
            start(name, server);
        } catch (const Error& error) {  // no reason to leave the others alone
            log_error("server {} cannot be archived: {}", name, error.full_text());
            servers_.erase(name);
        }
    }
    object_.changed({"ConfigErrors"});
    update_status();
}

void Manager::start(const std::string& name, config::Server server) {
    Entry& entry = servers_[name];
    if (!entry.object) entry.object = std::make_unique<ServerObject>(context_.bus, background_, name);
    ServerObject* const object = entry.object.get();
    const Workshop workshop{context_.loop, compressors_, background_, deletions_, removals_, clock_};
    ArchivedServer::Listener listener{[this, object] {
                                          object->state_changed();
                                          update_status();
                                      },
                                      [object](const std::string& segment) { object->archived(segment); }};
    entry.server = std::make_unique<ArchivedServer>(workshop, std::move(server), std::move(listener));
    object->attach(entry.server.get());
    object->state_changed();
}

// Called from inside the server that closed: it is destroyed at the next turn of the loop.
void Manager::closed(const std::string& name) {
    const auto found = servers_.find(name);
    if (found == servers_.end()) return;
    found->second.end = context_.loop.on_next_turn([this, name] {
        const auto entry = servers_.find(name);
        if (entry != servers_.end()) replace(entry->first, entry->second);
    });
}

void Manager::replace(std::string name, Entry& entry) {
    if (entry.server && !entry.server->closing()) return;  // closed twice; the new one is there already
    entry.object->attach(nullptr);
    entry.server.reset();
    if (entry.next && !stopped_) {
        start(name, *std::exchange(entry.next, std::nullopt));
    } else if (entry.leaving) {
        servers_.erase(name);
    }
    if (stopped_ && servers_.empty()) std::exchange(stopped_, nullptr)();
}

void Manager::watch_configuration() {
    watches_.clear();
    constexpr std::uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
    const std::string file = main_file_.filename().string();
    const Path folder = main_file_.has_parent_path() ? main_file_.parent_path() : Path(".");
    watches_.push_back(context_.loop.on_file_change(folder, mask, [this, file](const FileChange& change) {
        if (change.overflow || change.name == file) reload_soon();
    }));
    const Path& more = config_.configuration_files_directory;
    if (more.empty() || !std::filesystem::is_directory(more)) return;
    watches_.push_back(context_.loop.on_file_change(more, mask, [this](const FileChange& change) {
        if (change.overflow || change.name.ends_with(".conf")) reload_soon();
    }));
}

void Manager::reload_soon() {
    reload_timer_ = context_.loop.on_timer(quiet_after_change, [this] { reload(); });
}

void Manager::update_status() {
    std::size_t archiving = 0;
    std::size_t troubled = 0;
    for (const auto& [name, entry] : servers_) {
        const std::string state = entry.server ? entry.server->state() : "starting";
        archiving += state == "idle" || state == "archiving" ? 1 : 0;
        troubled += state == "no-space" || state == "failed" || state == "misconfigured" ? 1 : 0;
    }
    notify_status(fmt::format("Archiving WAL of {} servers, {} in trouble.", archiving, troubled));
}

std::vector<ServerEntry> Manager::list() const {
    std::vector<ServerEntry> entries;
    for (const auto& [name, entry] : servers_) {
        entries.push_back({name, entry.object->path(), entry.server ? entry.server->state() : "starting"});
    }
    return entries;
}

std::vector<ConfigError> Manager::config_errors() const {
    std::vector<ConfigError> errors;
    const auto add = [&errors](const config::Problem& problem) {
        errors.push_back({problem.file.string(), static_cast<std::uint32_t>(std::max(0, problem.line)), problem.text});
    };
    std::for_each(config_.problems.begin(), config_.problems.end(), add);
    for (const auto& [name, server] : config_.servers)
        std::for_each(server.problems.begin(), server.problems.end(), add);
    return errors;
}

}  // namespace coffer::archiver
