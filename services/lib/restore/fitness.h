#pragma once
// Is this backup one that can be restored at all, and which of its files are not part of what is restored?
#include <optional>
#include <string>
#include <vector>

#include "lib/base/files.h"
#include "lib/catalogue/backup_info.h"

namespace coffer::restore {

// Throws refused (it failed, or is not finished), not_supported (incremental, tar), corrupt (files are gone).
// damage_allowed: a failed backup that is all there (damaged pages were found in it) will do, with a warning.
void require_fit(const catalogue::BackupInfo& backup, const Path& data_path, bool damage_allowed,
                 std::vector<std::string>& warnings);

// Throws refused for a backup that the scrub found damaged; damage_allowed: a warning.
void require_undamaged(const std::optional<catalogue::Extra>& extra, const std::string& backup_id, bool damage_allowed,
                       std::vector<std::string>& warnings);

// What belongs to the life of the old server, what is written anew, and pg_control, which comes last. relative: to the
// data directory. tablespaces_moved: tablespace_map would lead PostgreSQL to the old places.
bool left_out(const std::string& relative, bool tablespaces_moved);

}  // namespace coffer::restore
