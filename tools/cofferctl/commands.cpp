#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {

namespace {

// For help only: cofferctl hands these calls over before the command line is built.
Command handed_over(std::string_view name, std::string_view description) {
    return {name, {}, description, "ARGUMENTS", 0, 0, {}, [](Context&, const Arguments&) {
                throw Error(ErrorCode::refused, "this is done by cofferctl itself", {}, "call cofferctl");
            }};
}

}  // namespace

Command get_wal_command() {
    return handed_over("get-wal", "give a WAL file to a recovering server");
}

Command put_wal_command() {
    return handed_over("put-wal", "take a WAL file from an archive_command");
}

Command ssh_serve_command() {
    return handed_over("ssh-serve", "the forced command of a database host's key");
}

Command serve_wal_command() {
    return handed_over("serve-wal", "answer requests for WAL files on standard input");
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
                                               put_wal_command(),
                                               ssh_serve_command(),
                                               serve_wal_command(),
                                               switch_wal_command(),
                                               replication_status_command(),
                                               diagnose_command()};
    return commands;
}

}  // namespace coffer::cofferctl
