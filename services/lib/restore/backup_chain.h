#pragma once
// Backups of Barman's that are no plain data directory: in tar format (base.tar, <oid>.tar, compressed or not), or
// incremental ones of PostgreSQL 17 and later, which need the backups before them. What can be known of them before
// anything is unpacked; unpack.h puts them together.
//
// Layout: documentation of Barman 3.17, behaviour of 3.4 to 3.20: base/<ID>/data holds the archives and, beside them,
// the backup_manifest; the record says parent_backup_id. Thread-safe. Errors: no_such_backup, corrupt, not_supported.
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/catalogue/catalogue.h"
#include "lib/restore/copy.h"

namespace coffer::restore {

struct BackupArchive {
    Path path;
    std::optional<std::uint32_t> tablespace;  // nullopt: the data directory
};

struct ManifestPart {
    std::uint64_t size = 0;
    std::optional<std::uint32_t> crc32c;
};

struct BackupLink {
    catalogue::BackupInfo backup;
    Path path;                            // base/<ID>
    std::vector<BackupArchive> archives;  // empty: plain trees
    bool verify = true;                   // its files have to be what manifest says
    std::unordered_map<std::string, ManifestPart> manifest;
    [[nodiscard]] Path data() const { return path / "data"; }
    [[nodiscard]] bool incremental() const { return !backup.parent().empty(); }
};

using BackupChain = std::vector<BackupLink>;  // a full backup first, the one that is wanted last

// Its files are in archives, as its record says.
bool in_tar_format(const catalogue::BackupInfo& backup);
// In tar format, or needs others.
bool needs_unpacking(const catalogue::BackupInfo& backup);

// verify: with sound manifests, against which the files are held. Throws where one of the backups is not there, is not
// finished, is of another cluster, or is not the one that the next was made from.
BackupChain chain_of(const catalogue::Catalogue& catalogue, const catalogue::BackupInfo& backup, bool verify);

// "INCREMENTAL.16384" below any directory is the file 16384; nullopt for other names.
std::optional<std::string> patched_by(const std::string& path);

// Sizes and numbers of files, as far as the manifests tell; what there is to unpack goes into entries of the data
// directory's tree (without prefix) and the tablespaces' ones.
void estimate(const BackupChain& chain, const std::vector<Tree*>& trees);

}  // namespace coffer::restore
