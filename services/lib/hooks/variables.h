#pragma once
// What hook scripts are told of backups, WAL files and restores: Barman's variables (docs/hooks.md). Any thread.
#include <string>

#include "lib/base/files.h"
#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"
#include "lib/hooks/hooks.h"

namespace coffer::hooks {

// PREVIOUS_ID and NEXT_ID: of the backups that can be restored, or will be when their WAL has come.
Variables of_backup(const config::Server& server, const catalogue::BackupInfo& backup);

// A WAL file at the place where it is now. What is not there has neither size nor time.
Variables of_wal(const std::string& name, const Path& file);

struct Recovery {
    Path destination;
    std::string tablespaces;     // a JSON object, name to new place; empty: as in the backup
    std::string remote_command;  // ssh and the host, where the restore goes elsewhere
    std::string options = "{}";  // a JSON object: what was asked for
};
Variables of_recovery(const config::Server& server, const catalogue::BackupInfo& backup, const Recovery& recovery);

}  // namespace coffer::hooks
