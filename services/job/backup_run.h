#pragma once
// One backup on its way: STARTED, copied, verified, synced, WAITING_FOR_WALS, DONE (see backup_command.h). One thread.
#include <chrono>
#include <optional>
#include <set>
#include <string>

#include "lib/catalogue/catalogue.h"
#include "lib/hooks/hooks.h"
#include "lib/image/base_backup.h"
#include "lib/pg/conn.h"
#include "services/job/backup_way.h"
#include "services/job/image_start.h"
#include "services/job/primary.h"
#include "services/job/progress.h"
#include "services/job/request.h"
#include "services/job/server_facts.h"
#include "services/job/server_watch.h"

namespace coffer::job {

struct BackupPlan {
    std::string name;
    WayWanted way;
    bool fast_checkpoint = false;
    std::chrono::seconds wait_timeout{3600};
};

class BackupRun {
  public:
    BackupRun(const config::Server& server, BackupPlan plan, ProgressReporter& progress, int stop_fd);
    // Throws as the command does.
    JobResult run();

  private:
    void connect();
    void begin_record(const std::string& backup_id);
    void connect_replication();
    void make();
    void make_by_rsync();
    [[nodiscard]] bool by_rsync() const;
    ImageStart begin_tree();
    bool receive_increments();
    void receive();
    void copy(image::BaseBackup& backup, image::TreeWriter& writer, ServerWatch& watch);
    void verify(const image::TreeWriter& writer);
    void sync(int directory_fd);
    void record();
    void inherit_damage();
    void wait();
    void fail(const Error& error) noexcept;
    void tell(hooks::Hooks& scripts) noexcept;
    [[nodiscard]] std::string damage_text() const;

    const config::Server& server_;
    BackupPlan plan_;
    ProgressReporter& progress_;
    int stop_fd_;
    Clock clock_;
    catalogue::Catalogue catalogue_;
    pg::PgConn replication_;
    pg::PgConn sql_;
    ServerFacts facts_;
    Primary primary_;  // asked when the server is a standby
    catalogue::BackupInfo info_;
    catalogue::Extra extra_;
    BackupWay way_;
    bool incremental_ = false;
    image::ReceivedFiles before_;  // of an incremental one: what the backup that it builds on has
    std::optional<WallTime> base_full_read_at_;
    std::set<std::string> mended_;  // files of the base that were damaged, and are not here
};

}  // namespace coffer::job
