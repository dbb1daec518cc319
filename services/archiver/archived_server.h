#pragma once
// One server of the archiver: watches its streaming/ and incoming/ directories and has its worker threads archive what
// appears there. Loop thread; the archive itself is shared with the workers.
//
// Nothing that is wrong with backups keeps WAL from being archived: removals that a crash cut off are finished, the
// retention policy is applied, and backups that wait for WAL are looked at, on the side.
//
// States: "disabled" (inactive, or nothing to archive), "misconfigured", "starting" (the archive is being read),
// "idle", "archiving", "no-space" (one file is tried again every 5 s), "failed" (last_error says why; tried again, and
// over when each file that failed is archived, set aside, or gone).
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lib/event/mailbox.h"
#include "lib/wal/archive.h"
#include "services/archiver/background.h"
#include "services/archiver/intake_queue.h"
#include "services/archiver/intake_watch.h"
#include "services/archiver/retention_keeper.h"

namespace coffer::archiver {

// What all servers share.
struct Workshop {
    EventLoop& loop;
    WorkerPool& compressors;
    Background& background;
    Background& deletions;  // from the catalogue, of servers without hooks for it
    Background& removals;   // of the files of whole backups, which takes minutes: nothing else may wait behind them
    const Clock& clock;
};

class ArchivedServer {
  public:
    struct Listener {
        std::function<void()> state_changed;
        std::function<void(const std::string& name)> archived;
    };

    ArchivedServer(Workshop workshop, config::Server server, Listener listener);
    ~ArchivedServer();
    ArchivedServer(const ArchivedServer&) = delete;
    ArchivedServer& operator=(const ArchivedServer&) = delete;

    // A finished file is said to be there (the streamer's signal). Everything else finds its way by itself.
    void found_streamed(const std::string& segment);
    // A file of the archive was moved to errors/ by somebody else's order.
    void set_one_aside();
    // Takes nothing more, and deletes nothing more; then is called once, when no worker is busy for this server.
    void close(std::function<void()> then);
    [[nodiscard]] bool closing() const noexcept { return closing_; }

    [[nodiscard]] const std::shared_ptr<const config::Server>& server() const noexcept { return server_; }
    [[nodiscard]] const std::shared_ptr<wal::WalArchive>& archive() const noexcept {
        return archive_;
    }  // null: not open
    // For a worker: the archive, or one that is opened for the call alone where nobody archives for this server. The
    // function throws refused while the archive is not open.
    [[nodiscard]] std::function<std::shared_ptr<wal::WalArchive>()> archive_for_call() const;
    // The records of backups have changed otherwise than by what is seen of files.
    void look_after_backups();
    [[nodiscard]] RetentionKeeper& retention() noexcept { return retention_; }
    [[nodiscard]] const std::string& state() const noexcept { return state_; }
    [[nodiscard]] const std::string& last_error() const noexcept { return last_error_; }
    [[nodiscard]] std::uint64_t queued() const noexcept { return queue_.waiting() + queue_.working(); }
    [[nodiscard]] std::uint64_t error_files() const noexcept { return error_files_; }

  private:
    struct Finished {
        Path file;
        wal::StoreOutcome outcome;
    };
    struct Trouble {
        ErrorCode code;
        std::string fact;
        std::string text;
    };
    struct Opened;
    struct Backups;
    [[nodiscard]] bool has_work() const;
    void open();
    void opened(Opened* result, const std::optional<Error>& error);
    void offer(const Path& file);
    void feed();
    void work_on(const Path& file);
    void tell_closed();
    void finished(Finished result);
    void report(const Finished& result);
    void note_trouble(const Finished& result);
    void update_state();
    void set_state(const std::string& state, const std::string& error);
    void wait_for_next_change();
    void mind_backups(const FileChange& change);
    [[nodiscard]] bool left_by_streamer(const std::string& segment) const;
    void remove_stale_partials();

    struct OwnThreads;
    Workshop workshop_;
    std::shared_ptr<const config::Server> server_;
    std::unique_ptr<OwnThreads> own_;  // for what hooks can hold up
    Listener listener_;
    std::shared_ptr<wal::WalArchive> archive_;
    IntakeQueue queue_;
    std::map<Path, Trouble> troubles_;  // of files that could not be archived at the last attempt
    Mailbox<Finished> mailbox_;
    IntakeWatch intake_;
    EventSource records_;  // the backups'
    RetentionKeeper retention_;
    EventSource timer_;
    std::string state_ = "starting";
    std::string last_error_;
    std::uint64_t error_files_ = 0;
    bool opening_ = false;
    bool closing_ = false;
    std::function<void()> closed_;
    bool backups_wait_ = true;  // as far as is known, a backup is in WAITING_FOR_WALS
    bool first_look_ = true;
    bool looking_ = false;  // a worker looks after the backups
    bool look_again_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::archiver
