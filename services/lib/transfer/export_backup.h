#pragma once
// Writes a backup and the WAL that it needs into one file (bundle.h).
//
// Everything is held against the manifest, page by page and record by record while it is read: damage is an error
// (corrupt), never exported. The file has its name only when it is whole and synced. Memory does not grow with the size
// of the backup, but by some 200 bytes per file. The caller holds a lease. Throws refused (a backup that is not DONE),
// not_supported (no plain data directory, an increment of Barman's), corrupt, no_such_wal, no_space, io, canceled.
#include <functional>
#include <optional>
#include <string>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::transfer {

struct ExportOptions {
    Path directory;
    config::Codec codec = config::Codec::none;
    std::optional<std::string> level;
    std::function<bool()> canceled;
    std::function<void(std::uint64_t total)> begin;
    std::function<void(std::uint64_t done)> advance;
};

struct Exported {
    Path file;
    std::uint64_t bytes = 0;   // of what is in it
    std::uint64_t stored = 0;  // of the file
    std::uint64_t files = 0;
    std::uint64_t wal_files = 0;
};

Exported export_backup(const config::Server& server, const catalogue::BackupInfo& backup, const ExportOptions& options);

}  // namespace coffer::transfer
