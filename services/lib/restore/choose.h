#pragma once
// Which backup a restore starts from: an ID or a name, latest, oldest, or "auto" (Barman 3.17's rule: the newest
// finished one from which the target can be reached). Pure functions over the list that the catalogue gives.
#include <functional>
#include <string_view>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/restore/target.h"

namespace coffer::restore {

// Is the wanted timeline reachable from this backup? (The timelines' history decides; lib/restore/timeline_path.h.)
using OnTimeline = std::function<bool(const catalogue::BackupInfo&)>;

// backups: oldest first, of every status. Aliases look at finished ones (DONE) only;
// an ID or a name is returned whatever its status, so that the caller can say why it does not serve.
// Throws no_such_backup with what exists as the remedy; invalid_argument for auto with xid, name or immediate;
// target_unreachable when no backup serves the target.
const catalogue::BackupInfo& choose_backup(const std::vector<catalogue::BackupInfo>& backups, std::string_view wanted,
                                           const RestoreTarget& target, const OnTimeline& on_timeline);

}  // namespace coffer::restore
