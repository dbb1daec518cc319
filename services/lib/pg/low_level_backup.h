#pragma once
// A base backup whose files somebody else copies: told to the server before and after.
//
// Source: PostgreSQL documentation, "Making a Base Backup Using the Low Level API", of 13 to 18 (pg_start_backup and
// pg_stop_backup, not exclusive, until 14). The connection must stay: with it the backup ends, and what was copied is
// worth nothing. One thread at a time. Throws as PgConn does; protocol.
#include <string>
#include <string_view>

#include "lib/base/lsn.h"
#include "lib/pg/conn.h"

namespace coffer::pg {

struct BackupLabel {
    Lsn start;
    TimelineId timeline = 0;
};
// The two lines of a backup_label that recovery begins with. Foreign bytes: throws protocol.
BackupLabel parse_backup_label(std::string_view text);

struct LowLevelEnd {
    Lsn lsn;
    std::string label;  // the content of backup_label
    BackupLabel start;  // what it says
};

class LowLevelBackup {
  public:
    // Begins it: waits for a checkpoint (fast: makes the server hurry). The position that it begins at.
    LowLevelBackup(PgConn& conn, const std::string& label, bool fast);
    [[nodiscard]] Lsn begin() const noexcept { return begin_; }
    // Says something, so that nobody in between forgets the connection; throws when it is gone.
    void keep_alive();
    LowLevelEnd end();

  private:
    PgConn& conn_;
    Lsn begin_;
};

}  // namespace coffer::pg
