#pragma once
// Applies the retention policy of one server at the right moments: at the start, when a backup or a note about one
// changes, when time alone gives something up, and when asked to. Also frees the space of what was deleted, on the
// side. Loop thread; workers do the work.
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "lib/event/event_loop.h"
#include "services/archiver/background.h"
#include "services/archiver/expiry.h"

namespace coffer::archiver {

class RetentionKeeper {
  public:
    // deletions: for what is done in a moment, or takes as long as hooks take; removals: for what takes minutes.
    // stop: readable from stop() on, for hooks.
    RetentionKeeper(EventLoop& loop, Background& deletions, Background& removals, const Clock& clock,
                    std::shared_ptr<const config::Server> server, hooks::Stop stop);

    // The archive is open: from now on the policy is applied.
    void start(std::shared_ptr<wal::WalArchive> archive);
    // Nothing is applied by itself any more, and what is being done ends soon; then idle() is called when it has.
    void stop(std::function<void()> idle);
    [[nodiscard]] bool busy() const noexcept { return running_ > 0; }
    // Work on the catalogue or the archive while nothing is being deleted.
    template <typename T>
    void in_turn(std::function<T()> work, std::function<void(T* value, const std::optional<Error>& error)> then) {
        ++running_;
        deletions_.run<T>(std::move(work), [this, alive = std::weak_ptr<bool>(alive_), then = std::move(then)](
                                               T* value, const std::optional<Error>& error) {
            then(value, error);
            if (!alive.expired()) ended();
        });
    }
    // A backup that somebody wants deleted, in its turn. Returns how many WAL files went.
    using Deleted = std::function<void(std::uint64_t* wal_files, const std::optional<Error>& error)>;
    void delete_backup(const std::string& backup, Deleted then);
    // Soon, once for all that happens meanwhile.
    void apply();
    // Whatever has been given up is gone when then is called. Error refused while the archive is not open.
    using Then = std::function<void(Expired* expired, const std::optional<Error>& error)>;
    void apply_now(Then then);
    // The backups that there are and their states, in any one form: when that has changed, the policy is applied.
    void backups_are(std::string backups);
    // Of what was deleted.
    void free_space();

  private:
    void applied(Expired* expired, const std::optional<Error>& error);
    void ended();

    EventLoop& loop_;
    Background& deletions_;
    Background& removals_;
    const Clock& clock_;
    std::shared_ptr<const config::Server> server_;
    const hooks::Stop stop_;
    std::shared_ptr<wal::WalArchive> archive_;
    EventSource timer_;
    std::optional<std::string> backups_;
    std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
    std::function<void()> idle_;
    unsigned running_ = 0;  // deletions under way, or waiting for their turn
    bool applying_ = false;
    bool apply_again_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::archiver
