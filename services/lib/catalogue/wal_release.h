#pragma once
// Which WAL nothing needs any more once a backup is gone. The rule is Barman's (its behaviour, 3.4 to 3.17):
//
// WAL is needed from the oldest backup on. So deleting a backup frees WAL only when no older one is left, and then all
// WAL before the begin of the oldest one that remains. Backups kept as "standalone" do not count as older: of them only
// the WAL from begin to end is needed. WAL of timelines that a remaining backup (other than the oldest) is on is never
// touched, and histories never go. When no backup is left, all WAL stays: it may still be wanted by a backup stored
// elsewhere. Beyond Barman's rule: a FAILED backup counts while its files are kept (its pages were damaged on the
// server), since restore --no-verify takes it.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::catalogue {

struct RemainingBackup {
    BackupInfo info;
    bool standalone = false;  // kept with target "standalone"
    bool files_kept = false;  // there is a whole data directory, even where the backup is FAILED
};

struct WalRelease {
    std::string before;                                       // names from here on stay
    std::vector<std::pair<std::string, std::string>> needed;  // from, to: ranges of names that stay all the same, in
                                                              // order and apart from one another
    std::vector<TimelineId> protected_timelines;

    // Complete segments, partial ones and backup labels; false for histories and foreign names.
    [[nodiscard]] bool releases(std::string_view name) const;
};

// Is any WAL kept for it? Not for one that FAILED, unless its files are there or its record cannot be read.
bool needs_wal(const RemainingBackup& backup);
// What none of these backups needs. nullopt: nothing may go.
std::optional<WalRelease> wal_released(const std::vector<RemainingBackup>& remaining);
// What a deleted one alone needed. nullopt: nothing may go. remaining: without the deleted one, in any order.
std::optional<WalRelease> wal_released_by(const BackupInfo& deleted, const std::vector<RemainingBackup>& remaining);

// The backups of the catalogue, with what their "-keep" files and their directories say.
std::vector<RemainingBackup> remaining_backups(const config::Server& server);

}  // namespace coffer::catalogue
