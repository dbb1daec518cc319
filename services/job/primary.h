#pragma once
// The primary of a standby that is backed up (primary_conninfo).
//
// A standby cannot end a WAL segment: where WAL comes in whole segments only (archive_command), the one that the backup
// ends in would come when somebody else's writing has filled it. So the primary is asked, as Barman does it:
// pg_switch_wal() up to ten times, ten seconds apart, and where no WAL has come for primary_checkpoint_timeout, a
// CHECKPOINT, which gives it something to switch. Where WAL is streamed, it is asked only when none has come for the
// first ten seconds. One thread.
#include <string>

#include "lib/base/clock.h"
#include "lib/config/config.h"
#include "lib/pg/conn.h"

namespace coffer::job {

class Primary {
  public:
    Primary(const config::Server& server, const Clock& clock, int stop_fd)
        : server_(server), clock_(clock), stop_fd_(stop_fd) {}

    // Is it the standby's? Throws server_mismatch where it is of another system, canceled. That it cannot be reached,
    // or is a standby itself, is told in the log: the backup may well do without it.
    void compare(std::uint64_t system_identifier);

    // Called while WAL is missing: asks what is due, and tells when to call again. Throws canceled only.
    MonotonicTime ask();
    // What to do when the WAL does not come.
    [[nodiscard]] std::string remedy() const;

  private:
    void connect();
    [[nodiscard]] bool checkpoint_is_due(MonotonicTime now) const;
    void checkpoint();
    void switch_wal();
    void tell(const Error& error);

    const config::Server& server_;
    const Clock& clock_;
    int stop_fd_;
    std::uint64_t system_identifier_ = 0;  // 0: not asked for
    pg::PgConn conn_;
    std::optional<MonotonicTime> begun_;
    MonotonicTime last_checkpoint_;
    int switches_ = 0;
    std::string told_;  // of what was wrong
};

}  // namespace coffer::job
