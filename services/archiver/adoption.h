#pragma once
// The end of an import: a backup whose files and records lie here, hidden, gets its WAL into the archive and becomes
// visible.
//
// For a worker, in the archiver's turn among deletions, so that no retention comes between WAL and backup. Nothing is
// changed when a file is refused: all are looked at before the first one is stored. Whoever imports holds a shared lock
// on the backup. Throws refused (the archive has other WAL of that name), corrupt, server_mismatch, no_such_backup,
// no_space, io.
#include <string>

#include "lib/config/config.h"
#include "lib/wal/archive.h"

namespace coffer::archiver {

// backup: its ID. Its WAL lies in base/<ID>/wal.
void adopt_backup(const config::Server& server, wal::WalArchive& archive, const std::string& backup);

}  // namespace coffer::archiver
