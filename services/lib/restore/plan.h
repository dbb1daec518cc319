#pragma once
// What a restore will do, decided and checked before the first byte is written: the backup, the files, the WAL and
// where each piece lies, where recovery will end, the settings. Making it changes nothing; carrying it out (execute.h)
// decides nothing.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/catalogue/catalogue.h"
#include "lib/restore/backup_chain.h"
#include "lib/restore/copy.h"
#include "lib/restore/databases.h"
#include "lib/restore/destination.h"
#include "lib/restore/existing_tree.h"
#include "lib/restore/recovery_end.h"
#include "lib/restore/settings.h"
#include "lib/restore/wal_chain.h"

namespace coffer::restore {

struct PlanRequest {
    std::string backup = "latest";  // as choose_backup() takes it
    Path destination;
    std::vector<Path> taken;  // where nothing may be restored to: catalogue_directories()
    RestoreTarget target;
    std::map<std::string, Path> tablespaces;
    DatabaseChoice databases;
    bool get_wal = false;
    bool delta = false;        // the destination may hold the same cluster, of which only what differs is written
    bool verify = true;        // hold the files against the backup manifest
    bool read_shared = false;  // reflinked ones too that the file system guards
    Path cofferctl;            // for the restore_command with get_wal
    Path config_file;          // likewise
    std::function<bool()> canceled;
};

struct Plan {
    std::string server;
    catalogue::BackupInfo backup;
    RestoreTarget target;
    Path destination;
    std::vector<Path> taken;  // as in the request
    Tree data;
    std::vector<TablespaceTarget> tablespaces;
    std::vector<Tree> tablespace_trees;  // in the same order
    BackupChain chain_of_backups;        // that it is unpacked from; empty: it is a plain data directory
    std::vector<LeftDatabase> left_databases;
    std::vector<TreeEntry> apart;    // of the data directory, restored in their own ways: see manifest_check.h
    bool delta = false;              // something is there: see existing_tree.h
    Existing existing;               // all that is there
    bool tablespaces_moved = false;  // any of them
    bool verify = true;
    bool reflink = false;      // of the data directory
    bool reads_shared = true;  // reflinked files too, whether or not the file system guards them

    TimelineId timeline = 0;  // along which recovery goes
    TimelinePath path;
    WalChain chain;                        // only what is needed, in order
    std::vector<wal::HeldFile> histories;  // all that are held
    RecoveryEnd end;
    WalIdentity identity;
    bool get_wal = false;
    // A segment of which only a part is held is among the WAL.
    bool uses_unfinished_segment = false;

    RecoverySettings settings;
    ConfigurationReport configuration;
    std::optional<Owner> owner;
    std::vector<std::string> warnings;

    [[nodiscard]] std::uint64_t files() const;
    [[nodiscard]] std::uint64_t bytes() const;      // of the backup
    [[nodiscard]] std::uint64_t wal_bytes() const;  // to be written to pg_wal
};

// Throws Error with the reason why it cannot be done.
Plan make_plan(const config::Server& server, const PlanRequest& request);

}  // namespace coffer::restore
