#pragma once
// Every command, each defined in the file of its name.
#include <vector>

#include "tools/cofferctl/command.h"

namespace coffer::cofferctl {

const std::vector<Command>& all_commands();
// Those that only read files: they need neither the library of PostgreSQL nor that of the bus, whose loading takes
// longer than what they do.
const std::vector<Command>& reading_commands();

Command list_servers_command();
Command show_servers_command();
Command status_command();
Command check_command();
Command backup_command();
Command list_backups_command();
Command show_backup_command();
Command list_files_command();
Command restore_command();
Command delete_command();
Command verify_backup_command();
Command generate_manifest_command();
Command scrub_command();
Command check_wal_archive_command();
Command check_archived_wal_range_command();
Command rebuild_xlogdb_command();
Command check_backup_command();
Command export_backup_command();
Command import_backup_command();
Command keep_command();
Command expire_command();
Command why_command();
Command get_wal_command();
Command put_wal_command();
Command ssh_serve_command();
Command switch_wal_command();
Command replication_status_command();
Command diagnose_command();

}  // namespace coffer::cofferctl
