#pragma once
// Is the WAL that is held the one that a backup was taken with? After a server was set back to an older state of its
// disk, segments of the history that it gave up lie here under the same names.
//
// Proven by records: at the checkpoint that the backup label names, there is a checkpoint whose redo is the backup's
// begin; at the one that the image's pg_control names, where that lies in the backup's WAL, one of the same second;
// and, when it was taken by Coffer from a primary, the record of the backup's end, which names
// its begin, ends where the backup ends (PostgreSQL 13 to 18: pg_control.h, xlogbackup.c). Reads two or three segments.
#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::catalogue {

// Throws server_mismatch when it is another's, corrupt or no_such_wal when it cannot be read. A record without a backup
// label, or with one that makes no sense, is believed.
void prove_wal(const config::Server& server, const BackupInfo& info);

}  // namespace coffer::catalogue
