#pragma once
// The part of a backup that is done by rsync: told to the server by the low-level API, its files copied, read and
// described (backup_run.h does the rest, as for every backup). One thread.
#include <chrono>
#include <mutex>
#include <set>
#include <string>

#include "lib/base/clock.h"
#include "lib/catalogue/catalogue.h"
#include "lib/image/copied_tree.h"
#include "lib/pg/conn.h"
#include "lib/pg/low_level_backup.h"
#include "services/job/image_start.h"
#include "services/job/progress.h"
#include "services/job/rsync_copy.h"
#include "services/job/server_facts.h"

namespace coffer::job {

// Who the server says it is, on an ordinary connection.
struct ControlFacts {
    std::uint64_t system_identifier = 0;
    std::uint64_t catalog_version = 0;
    TimelineId timeline = 0;  // of the last checkpoint
};
ControlFacts ask_control_facts(pg::PgConn& conn);

class RsyncBackup {
  public:
    struct Context {
        const config::Server& server;
        const ServerFacts& facts;
        pg::PgConn& sql;
        ProgressReporter& progress;
        const Clock& clock;
        int stop_fd = -1;
    };
    // All must outlive it; backup and extra are filled.
    RsyncBackup(const Context& context, catalogue::BackupInfo& backup, catalogue::Extra& extra);

    // start: what the tree begins as. compare_all: every file is compared, whatever its time says.
    void run(const ImageStart& start, bool fast_checkpoint, bool compare_all);
    // Files of the base that were known to be damaged, and are as on the server now.
    [[nodiscard]] const std::set<std::string>& mended() const noexcept { return doubtful_; }

  private:
    void judge_start(const ImageStart& start, bool compare_all);
    void doubt_damaged_files(std::string base);
    RsyncPlan plan();
    void copy(RsyncCopy& rsync, pg::LowLevelBackup& session);
    void read_again_what_was_torn(RsyncCopy& rsync, pg::LowLevelBackup& session);
    void finish(pg::LowLevelBackup& session);
    void judge_pages();
    void tick(pg::LowLevelBackup& session);

    const Context context_;
    catalogue::BackupInfo& backup_;
    catalogue::Extra& extra_;
    const catalogue::Catalogue catalogue_;
    image::CopiedTree tree_;
    ControlFacts control_;
    std::set<std::string> doubtful_;
    std::int64_t server_time_ = 0;       // when it began, by the server's clock
    std::int64_t unchanged_before_ = 0;  // for this copy
    bool in_place_ = false;
    bool manifest_is_of_tree_ = false;  // that which the tree began with, as of an attempt that was cut off it is not
    bool only_changes_ = false;         // not every file was compared
    std::optional<WallTime> base_full_read_at_;
    std::mutex mutex_;
    MonotonicTime last_word_{};
};

}  // namespace coffer::job
