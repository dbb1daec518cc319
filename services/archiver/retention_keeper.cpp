#include "services/archiver/retention_keeper.h"

#include <algorithm>

#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "services/archiver/catalogue_calls.h"

namespace coffer::archiver {
namespace {

// Whoever reads a backup tells nobody when it has ended.
constexpr std::chrono::minutes busy_again{10};
// A clock that is set forward is noticed by then.
constexpr std::chrono::hours longest_wait{24};

}  // namespace

RetentionKeeper::RetentionKeeper(EventLoop& loop, Background& deletions, Background& removals, const Clock& clock,
                                 std::shared_ptr<const config::Server> server, hooks::Stop stop)
    : loop_(loop), deletions_(deletions), removals_(removals), clock_(clock), server_(std::move(server)), stop_(stop) {}

void RetentionKeeper::start(std::shared_ptr<wal::WalArchive> archive) {
    archive_ = std::move(archive);
    free_space();
}

void RetentionKeeper::stop(std::function<void()> idle) {
    *stopped_ = true;
    timer_.reset();
    idle_ = std::move(idle);
}

void RetentionKeeper::ended() {
    --running_;
    if (running_ == 0 && idle_) std::exchange(idle_, nullptr)();
}

void RetentionKeeper::delete_backup(const std::string& backup, Deleted then) {
    const auto work = [server = server_, archive = archive_, backup, stop = stop_] {
        return coffer::archiver::delete_backup(*server, archive.get(), backup, stop);
    };
    in_turn<std::uint64_t>(work, [this, alive = std::weak_ptr<bool>(alive_), then = std::move(then)](
                                     std::uint64_t* wal_files, const std::optional<Error>& error) {
        then(wal_files, error);
        if (!alive.expired()) free_space();
    });
}

void RetentionKeeper::apply() {
    if (!archive_ || *stopped_ || !has_retention(*server_)) return;
    apply_again_ = applying_;
    if (std::exchange(applying_, true)) return;
    apply_now([this, alive = std::weak_ptr<bool>(alive_)](Expired*, const std::optional<Error>& error) {
        if (alive.expired()) return;
        if (error && !*stopped_)
            log_warning("server {}: its retention policy cannot be applied: {}", server_->name, error->what());
        applying_ = false;
        if (apply_again_) apply();
    });
}

void RetentionKeeper::apply_now(Then then) {
    if (!archive_) {
        return then(nullptr, Error(ErrorCode::refused, "the WAL archive is not open", server_->name,
                                   "see the server's State: is it active, and is its configuration right?"));
    }
    const auto work = [server = server_, archive = archive_, &clock = clock_, stopped = stopped_, stop = stop_] {
        if (*stopped) throw Error(ErrorCode::busy, "server is being set up anew", {}, "try again in a moment");
        return expire(*server, *archive, clock, stop);
    };
    ++running_;
    deletions_.run<Expired>(work, [this, alive = std::weak_ptr<bool>(alive_), then = std::move(then)](
                                      Expired* expired, const std::optional<Error>& error) {
        if (alive.expired()) {
            return then(nullptr, Error(ErrorCode::busy, "server is being set up anew", {}, "try again in a moment"));
        }
        applied(expired, error);
        then(expired, error);
        ended();
    });
}

void RetentionKeeper::applied(Expired* expired, const std::optional<Error>& error) {
    using std::chrono::seconds;
    seconds wait = longest_wait;
    if (error || expired->again) wait = busy_again;
    if (expired != nullptr && expired->next_change) {
        const auto left = std::chrono::ceil<seconds>(*expired->next_change - clock_.now());
        wait = std::clamp(left, seconds(1), wait);
    }
    if (!*stopped_) timer_ = loop_.on_timer(wait, [this] { apply(); });
    if (error || !expired->backups.empty()) free_space();
}

void RetentionKeeper::backups_are(std::string backups) {
    if (backups_ == backups) return;
    backups_ = std::move(backups);
    apply();
}

void RetentionKeeper::free_space() {
    const auto work = [server = server_] { return catalogue::Catalogue(*server).finish_removals().size(); };
    removals_.run<std::size_t>(work, [name = server_->name](std::size_t*, const std::optional<Error>& error) {
        if (error) log_warning("server {}: a removal is not finished: {}", name, error->what());
    });
}

}  // namespace coffer::archiver
