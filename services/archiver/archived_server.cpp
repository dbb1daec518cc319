#include "services/archiver/archived_server.h"

#include <sys/eventfd.h>
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/catalogue/completion.h"
#include "lib/wal/quarantine.h"
#include "lib/wal/source_file.h"
#include "lib/wal/stale_partial.h"
#include "services/archiver/hooked_wal.h"

namespace coffer::archiver {
namespace {

constexpr std::chrono::seconds open_again{10};
constexpr std::chrono::milliseconds busy_look{100};
constexpr std::chrono::seconds time_for_hooks_at_the_end{5};
// Enough that the syncs of a queue are shared, few enough that servers take turns.
constexpr std::size_t working_per_thread = 4;

wal::KnownSystem known_system(const config::Server& server) {
    wal::KnownSystem known;
    if (const auto identity = catalogue::Catalogue(server).identity()) {
        known.system_identifier = identity->systemid;
        known.major_version = identity->major_version;
    }
    return known;
}

std::shared_ptr<wal::WalArchive> open_archive(const std::shared_ptr<const config::Server>& server, const Clock& clock) {
    catalogue::Catalogue(*server).create_directories();
    wal::WalArchive::Settings settings;
    settings.known_system = [server] { return known_system(*server); };
    return std::make_shared<wal::WalArchive>(*server, std::move(settings), clock);
}

}  // namespace

struct ArchivedServer::Opened {
    std::shared_ptr<wal::WalArchive> archive;
    std::uint64_t error_files = 0;
};

struct ArchivedServer::Backups {
    bool wait = false;   // for WAL, one of them at least
    std::string states;  // of all, each in a line
};

// A script takes as long as it takes, and may hang: no other server waits for it.
struct ArchivedServer::OwnThreads {
    OwnThreads(EventLoop& loop, const config::Hooks& hooks) : stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (!stop) throw Error::from_errno(errno, "cannot create an eventfd", {});
        if (hooks.archive.any()) archiving = std::make_unique<WorkerPool>(1, &wal::SourceFile::drop_kept_memory);
        if (hooks.removal.any() || hooks.wal_removal.any()) deletions = std::make_unique<Background>(loop, 1);
    }
    [[nodiscard]] hooks::Stop stop_for_hooks() const { return {stop.get(), time_for_hooks_at_the_end}; }

    UniqueFd stop;
    std::unique_ptr<WorkerPool> archiving;
    std::unique_ptr<Background> deletions;
};

ArchivedServer::ArchivedServer(Workshop workshop, config::Server server, Listener listener)
    : workshop_(workshop),
      server_(std::make_shared<const config::Server>(std::move(server))),
      own_(std::make_unique<OwnThreads>(workshop.loop, server_->hooks)),
      listener_(std::move(listener)),
      mailbox_(workshop.loop, [this](Finished result) { finished(std::move(result)); }),
      intake_(workshop.loop, server_->name, {[this](const Path& file) { offer(file); }, [this] { feed(); }}),
      retention_(workshop.loop, own_->deletions ? *own_->deletions : workshop.deletions, workshop.removals,
                 workshop.clock, server_, own_->stop_for_hooks()) {
    if (!server_->usable()) {
        state_ = "misconfigured";
        for (const config::Problem& problem : server_->problems) {
            if (problem.fatal) last_error_ = problem.to_string();
        }
    } else if (!has_work()) {
        state_ = "disabled";
    } else {
        open();
    }
}

ArchivedServer::~ArchivedServer() = default;

bool ArchivedServer::has_work() const {
    return server_->active && (server_->archiver || server_->streaming_archiver);
}

// Reads the whole archive, so a worker does it; the watches begin first, that nothing is missed in between.
void ArchivedServer::open() {
    opening_ = true;
    const auto work = [server = server_, &clock = workshop_.clock] {
        Opened result;
        result.archive = open_archive(server, clock);
        result.error_files = wal::count_errors(*server);
        return result;
    };
    workshop_.background.run<Opened>(
        work, [this, alive = std::weak_ptr<bool>(alive_)](Opened* result, const std::optional<Error>& error) {
            if (!alive.expired()) opened(result, error);
        });
}

void ArchivedServer::opened(Opened* result, const std::optional<Error>& error) {
    opening_ = false;
    if (closing_) return tell_closed();
    if (error) {
        log_error("server {}: cannot open the WAL archive: {}", server_->name, error->full_text());
        set_state(error->code() == ErrorCode::no_space ? "no-space" : "failed", error->what());
        timer_ = workshop_.loop.on_timer(open_again, [this] { open(); });
        return;
    }
    archive_ = std::move(result->archive);
    error_files_ = result->error_files;
    last_error_.clear();
    try {
        if (server_->streaming_archiver) intake_.watch(server_->streaming_wals_directory);
        if (server_->archiver) intake_.watch(server_->incoming_wals_directory);
        records_ = workshop_.loop.on_file_change(server_->meta_directory(), IN_MOVED_TO | IN_DELETE,
                                                 [this](const FileChange& change) { mind_backups(change); });
    } catch (const Error& failure) {
        intake_.stop();
        archive_.reset();
        return opened(nullptr, failure);
    }
    feed();
    remove_stale_partials();
    retention_.start(archive_);
    look_after_backups();
}

std::function<std::shared_ptr<wal::WalArchive>()> ArchivedServer::archive_for_call() const {
    const bool nobody_archives = state_ == "disabled";
    return [server = server_, archive = archive_, nobody_archives, &clock = workshop_.clock] {
        if (archive) return archive;
        if (nobody_archives) return open_archive(server, clock);
        throw Error(ErrorCode::refused, "the WAL archive is not open", server->name,
                    "see the server's State and LastError: is its configuration right?");
    };
}

void ArchivedServer::offer(const Path& file) {
    // What the streamer has not finished is its own.
    const bool unfinished = file.parent_path() == server_->streaming_wals_directory &&
                            wal::kind_of(file.filename().string()) == wal::FileKind::partial;
    if (!unfinished) queue_.found(file);
}

void ArchivedServer::found_streamed(const std::string& segment) {
    if (!archive_ || wal::kind_of(segment) != wal::FileKind::segment) return;
    queue_.found(server_->streaming_wals_directory / segment);
    feed();
}

void ArchivedServer::set_one_aside() {
    ++error_files_;
    listener_.state_changed();
}

void ArchivedServer::close(std::function<void()> then) {
    closing_ = true;
    intake_.stop();
    records_.reset();
    timer_.reset();
    closed_ = std::move(then);
    ::eventfd_write(own_->stop.get(), 1);
    retention_.stop([this] { tell_closed(); });
    tell_closed();
}

void ArchivedServer::tell_closed() {
    if (closing_ && closed_ && !opening_ && queue_.working() == 0 && !retention_.busy())
        std::exchange(closed_, nullptr)();
}

void ArchivedServer::feed() {
    if (!archive_ || closing_) return;
    const MonotonicTime now = workshop_.clock.monotonic();
    const std::size_t most = own_->archiving ? 1 : working_per_thread * workshop_.compressors.size();
    while (queue_.working() < most) {
        const std::optional<Path> file = queue_.take(now);
        if (!file) break;
        work_on(*file);
    }
    update_state();
    wait_for_next_change();
}

void ArchivedServer::work_on(const Path& file) {
    if (own_->archiving) {
        own_->archiving->submit([archive = archive_, file, sender = mailbox_.sender(), stop = own_->stop_for_hooks()] {
            sender.post({file, store_with_hooks(*archive, file, stop)});
        });
        return;
    }
    workshop_.compressors.submit([archive = archive_, file, sender = mailbox_.sender()] {
        archive->store(file, [file, sender](wal::StoreOutcome outcome) { sender.post({file, std::move(outcome)}); });
    });
}

void ArchivedServer::finished(Finished result) {
    queue_.finished(result.file, result.outcome, workshop_.clock.monotonic());
    report(result);
    if (closing_) return tell_closed();
    feed();
}

void ArchivedServer::report(const Finished& result) {
    const wal::StoreOutcome& outcome = result.outcome;
    note_trouble(result);
    if (outcome.moved_to) {
        ++error_files_;
        listener_.state_changed();
    }
    switch (outcome.result) {
        case wal::StoreResult::stored:
        case wal::StoreResult::duplicate:
            log_debug("server {}: archived {} in {} bytes", server_->name, outcome.name, outcome.stored_size);
            listener_.archived(outcome.name);
            if (left_by_streamer(outcome.name)) remove_stale_partials();
            if (backups_wait_) look_after_backups();
            return;
        case wal::StoreResult::conflict:
        case wal::StoreResult::refused:
            log_message(LogLevel::error,
                        fmt::format("server {}: {} {}; set aside as {}", server_->name, outcome.name, outcome.reason,
                                    outcome.moved_to ? outcome.moved_to->string() : ""),
                        {{"SERVER", server_->name}, {"WAL", outcome.name}});
            return;
        case wal::StoreResult::failed:
        case wal::StoreResult::unsettled:
        case wal::StoreResult::vanished:
            return;
    }
}

// Logged once for all files that have the same.
void ArchivedServer::note_trouble(const Finished& result) {
    const wal::StoreOutcome& outcome = result.outcome;
    const ErrorCode code = outcome.error ? outcome.error->code() : ErrorCode::internal;
    if (outcome.result != wal::StoreResult::failed) {
        troubles_.erase(result.file);
        const bool archived =
            outcome.result == wal::StoreResult::stored || outcome.result == wal::StoreResult::duplicate;
        // There is room again, also for the others.
        if (archived) std::erase_if(troubles_, [](const auto& t) { return t.second.code == ErrorCode::no_space; });
        return;
    }
    if (!outcome.error || code == ErrorCode::busy) return;
    const std::string& fact = outcome.error->fact();
    const bool known = std::any_of(troubles_.begin(), troubles_.end(), [&](const auto& t) {
        return t.second.code == code && (code == ErrorCode::no_space || t.second.fact == fact);
    });
    troubles_.insert_or_assign(result.file, Trouble{code, fact, outcome.error->what()});
    if (!known) {
        log_error("server {}: {} is not archived yet: {}", server_->name, outcome.name, outcome.error->full_text());
    }
}

void ArchivedServer::mind_backups(const FileChange& change) {
    const bool written = (change.mask & IN_MOVED_TO) != 0;
    if (change.overflow || (written && change.name.ends_with("-backup.info"))) look_after_backups();
    if (change.overflow || change.name.ends_with("-keep")) retention_.apply();
}

bool ArchivedServer::left_by_streamer(const std::string& segment) const {
    std::error_code ignored;
    return !server_->streaming_archiver &&
           std::filesystem::exists(server_->streaming_wals_directory / (segment + ".partial"), ignored);
}

// What the streamer left when it was switched off. Whole files are read, so a worker does it.
void ArchivedServer::remove_stale_partials() {
    if (server_->streaming_archiver) return;
    const auto work = [server = server_] { return wal::remove_stale_partials(*server); };
    workshop_.background.run<std::vector<std::string>>(
        work, [name = server_->name](std::vector<std::string>* removed, const std::optional<Error>& error) {
            if (error) return log_warning("server {}: cannot look for stale partial files: {}", name, error->what());
            for (const std::string& file : *removed) {
                log_info("server {}: {} was removed from streaming: the archive has the whole segment", name, file);
            }
        });
}

// Reads the records of all backups, so a worker does it, once for all that happens meanwhile, and only for as long as
// one of them waits for WAL.
void ArchivedServer::look_after_backups() {
    if (closing_) return;
    look_again_ = looking_;
    if (std::exchange(looking_, true)) return;
    const auto work = [server = server_, first = std::exchange(first_look_, false)] {
        const catalogue::Catalogue catalogue(*server);
        if (first) catalogue.fail_abandoned();
        (void)catalogue::finish_waiting(*server);
        Backups found;
        for (const catalogue::BackupInfo& info : catalogue.backups()) {
            found.wait |= catalogue::waits_for_wal(info);
            found.states += fmt::format("{} {}\n", info.backup_id, name_of(info.status));
        }
        return found;
    };
    const auto then = [this, alive = std::weak_ptr<bool>(alive_)](Backups* found, const std::optional<Error>& error) {
        if (alive.expired()) return;
        if (error) log_warning("server {}: cannot look after its backups: {}", server_->name, error->what());
        backups_wait_ = error || found->wait;
        looking_ = false;
        if (look_again_) return look_after_backups();
        if (found != nullptr) retention_.backups_are(std::move(found->states));
    };
    workshop_.background.run<Backups>(work, then);
}

void ArchivedServer::update_state() {
    const auto full = std::find_if(troubles_.begin(), troubles_.end(),
                                   [](const auto& t) { return t.second.code == ErrorCode::no_space; });
    if (full != troubles_.end()) return set_state("no-space", full->second.text);
    if (!troubles_.empty()) return set_state("failed", troubles_.begin()->second.text);
    set_state(queue_.working() != 0 ? "archiving" : "idle", {});
}

void ArchivedServer::set_state(const std::string& state, const std::string& error) {
    if (state == state_ && error == last_error_) return;
    last_error_ = error;
    state_ = state;
    listener_.state_changed();
}

void ArchivedServer::wait_for_next_change() {
    const std::optional<MonotonicTime> next = queue_.next_change();
    if (!next) return timer_.reset();
    const auto now = workshop_.clock.monotonic();
    auto wait = std::chrono::duration_cast<std::chrono::microseconds>(std::max(*next, now) - now);
    if (queue_.working() != 0) wait = std::max<std::chrono::microseconds>(wait, busy_look);  // its end is looked at too
    timer_ = workshop_.loop.on_timer(wait + std::chrono::milliseconds(1), [this] { feed(); });
}

}  // namespace coffer::archiver
