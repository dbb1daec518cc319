#pragma once
// What the backup manifest says of the files that a restore copies: their sizes are compared at once, their checksums
// are put into the trees, so that copying holds every byte against them. A byte that flipped at rest is found and named
// before anybody can start a server on it.
//
// Source of the format: lib/image/manifest.h. Thread-safe. Errors: corrupt (the manifest, or the files that are missing
// or of another size, by name).
#include <functional>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/restore/copy.h"

namespace coffer::restore {

struct ManifestQuestion {
    const catalogue::BackupInfo& backup;
    std::vector<Tree*> trees;  // get their checksums; the data directory is the first
    // Files of the data directory that are read apart: pg_control, postgresql.auto.conf. Filled.
    std::vector<TreeEntry>* apart;
    std::function<bool(const std::string&)> left_out;  // paths of the data directory that are not restored
};

// Adds to warnings what cannot be checked. False without a manifest, when nothing can be (backups by other methods).
bool expect_from_manifest(const ManifestQuestion& question, std::vector<std::string>& warnings);

// ": damaged are blocks 3, 7": by the checksums of pages, if the file has any.
std::string damaged_blocks(const catalogue::BackupInfo& backup, const Tree& tree, const TreeEntry& entry);

}  // namespace coffer::restore
