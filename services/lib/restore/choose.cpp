#include "lib/restore/choose.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/reversed.h"

namespace coffer::restore {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

bool done(const BackupInfo& backup) {
    return backup.status == BackupStatus::done;
}

std::string what_exists(const std::vector<BackupInfo>& backups) {
    std::string names;
    int named = 0;
    for (const BackupInfo& backup : reversed(backups)) {
        if (!done(backup)) continue;
        if (++named > 5) break;
        names += (names.empty() ? "" : ", ") + backup.backup_id;
    }
    return names.empty() ? "this server has no finished backup" : "newest finished backups: " + names;
}

bool serves(const BackupInfo& backup, const RestoreTarget& target, const OnTimeline& on_timeline) {
    if (!done(backup) || !on_timeline(backup)) return false;
    if (target.kind == TargetKind::time) return backup.end_time && *backup.end_time <= target.time;
    if (target.kind == TargetKind::lsn) return backup.end_xlog <= target.lsn;
    return true;
}

const BackupInfo& choose_automatically(const std::vector<BackupInfo>& backups, const RestoreTarget& target,
                                       const OnTimeline& on_timeline) {
    if (target.kind == TargetKind::xid || target.kind == TargetKind::name || target.kind == TargetKind::immediate) {
        throw Error(ErrorCode::invalid_argument, "a backup cannot be chosen automatically for this target",
                    target.describe(), "name the backup by its ID; " + what_exists(backups));
    }
    for (const BackupInfo& backup : reversed(backups)) {
        if (serves(backup, target, on_timeline)) return backup;
    }
    throw Error(ErrorCode::target_unreachable, "no finished backup ended before the target on its timeline",
                target.describe(), what_exists(backups));
}

}  // namespace

const BackupInfo& choose_backup(const std::vector<BackupInfo>& backups, std::string_view wanted,
                                const RestoreTarget& target, const OnTimeline& on_timeline) {
    if (wanted == "auto") return choose_automatically(backups, target, on_timeline);
    const bool full = wanted == "latest-full" || wanted == "last-full";
    if (full || wanted == "latest" || wanted == "last") {
        const auto found = std::find_if(backups.rbegin(), backups.rend(), [full](const BackupInfo& backup) {
            return done(backup) && (!full || backup.parent().empty());
        });
        if (found != backups.rend()) return *found;
    } else if (wanted == "oldest" || wanted == "first") {
        const auto found = std::find_if(backups.begin(), backups.end(), done);
        if (found != backups.end()) return *found;
    } else {
        for (const BackupInfo& backup : backups) {
            if (backup.backup_id == wanted) return backup;
        }
        // The newest of several with one name.
        for (const BackupInfo& backup : reversed(backups)) {
            if (!wanted.empty() && backup.backup_name == wanted) return backup;
        }
    }
    throw Error(ErrorCode::no_such_backup, "no such backup", std::string(wanted), what_exists(backups));
}

}  // namespace coffer::restore
