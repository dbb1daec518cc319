#pragma once
// A backup_manifest for a backup that has none (rsync), so that it can be verified from now on. Checksums are SHA-256,
// as Barman's are.
#include <functional>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::verify {

// Reads all of the backup. Durable when it returns: how many files it has. The caller holds a lease. Throws refused
// where there is one, not_supported (backup_files.h), canceled, io, no_space.
std::uint64_t make_manifest(const config::Server& server, const catalogue::BackupInfo& backup, unsigned jobs,
                            const std::function<bool()>& canceled);

}  // namespace coffer::verify
