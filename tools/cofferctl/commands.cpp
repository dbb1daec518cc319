#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {

// For help only: main() hands the call over before the command line is built.
Command get_wal_command() {
    return {"get-wal", {}, "give a WAL file to a recovering server", "ARGUMENTS", 0,
            0,         {}, [](Context&, const Arguments&) {}};
}

Command serve_wal_command() {
    return {"serve-wal",
            {},
            "answer requests for WAL files on standard input",
            "ARGUMENTS",
            0,
            0,
            {},
            [](Context&, const Arguments&) {}};
}

const std::vector<Command>& all_commands() {
    static const std::vector<Command> commands{list_servers_command(),
                                               show_servers_command(),
                                               status_command(),
                                               check_command(),
                                               backup_command(),
                                               list_backups_command(),
                                               show_backup_command(),
                                               list_files_command(),
                                               restore_command(),
                                               delete_command(),
                                               verify_backup_command(),
                                               generate_manifest_command(),
                                               scrub_command(),
                                               check_wal_archive_command(),
                                               check_archived_wal_range_command(),
                                               rebuild_xlogdb_command(),
                                               check_backup_command(),
                                               export_backup_command(),
                                               import_backup_command(),
                                               keep_command(),
                                               expire_command(),
                                               why_command(),
                                               get_wal_command(),
                                               serve_wal_command(),
                                               switch_wal_command(),
                                               replication_status_command(),
                                               diagnose_command()};
    return commands;
}

}  // namespace coffer::cofferctl
