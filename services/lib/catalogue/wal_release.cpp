#include "lib/catalogue/wal_release.h"

#include <algorithm>

#include "lib/catalogue/catalogue.h"

namespace coffer::catalogue {
namespace {

constexpr std::size_t segment_digits = 24;

// And joins those that overlap.
void put_in_order(std::vector<std::pair<std::string, std::string>>& ranges) {
    std::sort(ranges.begin(), ranges.end());
    std::size_t last = 0;
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        if (ranges[i].first <= ranges[last].second) {
            ranges[last].second = std::max(ranges[last].second, ranges[i].second);
        } else if (++last != i) {
            ranges[last] = std::move(ranges[i]);
        }
    }
    if (!ranges.empty()) ranges.resize(last + 1);
}

}  // namespace

bool needs_wal(const RemainingBackup& backup) {
    // A record that cannot be read may be that of a good backup.
    return backup.info.status != BackupStatus::failed || backup.info.unreadable || backup.files_kept;
}

bool WalRelease::releases(std::string_view name) const {
    const wal::FileKind kind = wal::kind_of(name);
    if (kind != wal::FileKind::segment && kind != wal::FileKind::partial && kind != wal::FileKind::backup_label) {
        return false;
    }
    const std::string_view segment = name.substr(0, segment_digits);
    const TimelineId timeline = wal::timeline_of(segment);
    if (std::count(protected_timelines.begin(), protected_timelines.end(), timeline) != 0) return false;
    if (segment >= before) return false;
    // The ranges are in order and apart from one another: only the last that begins before it may hold it.
    const auto next = std::upper_bound(needed.begin(), needed.end(), segment,
                                       [](std::string_view sought, const auto& range) { return sought < range.first; });
    return next == needed.begin() || segment > std::prev(next)->second;
}

std::optional<WalRelease> wal_released_by(const BackupInfo& deleted, const std::vector<RemainingBackup>& remaining) {
    const bool older = std::any_of(remaining.begin(), remaining.end(), [&](const RemainingBackup& backup) {
        return needs_wal(backup) && !backup.standalone && backup.info.backup_id < deleted.backup_id;
    });
    return older ? std::nullopt : wal_released(remaining);
}

std::optional<WalRelease> wal_released(const std::vector<RemainingBackup>& remaining) {
    WalRelease release;
    for (const RemainingBackup& backup : remaining) {
        if (!needs_wal(backup)) continue;
        const BackupInfo& info = backup.info;
        // It is running and has not said yet from where on it needs WAL, or its record cannot be read.
        if (info.begin_wal.size() != segment_digits) return std::nullopt;
        if (backup.standalone) {
            // The end is missing only while it is not known: then everything from its begin on is needed.
            const std::string end = info.end_wal.empty() ? std::string(segment_digits, 'F') : info.end_wal;
            release.needed.emplace_back(info.begin_wal, end);
            continue;
        }
        if (release.before.empty() || info.begin_wal < release.before) release.before = info.begin_wal;
    }
    if (release.before.empty()) return std::nullopt;
    put_in_order(release.needed);
    for (const RemainingBackup& backup : remaining) {
        if (!needs_wal(backup) || backup.standalone) continue;
        const TimelineId timeline = wal::timeline_of(backup.info.begin_wal);
        if (timeline != wal::timeline_of(release.before)) release.protected_timelines.push_back(timeline);
    }
    return release;
}

std::vector<RemainingBackup> remaining_backups(const config::Server& server) {
    std::vector<RemainingBackup> remaining;
    const Catalogue catalogue(server);
    for (BackupInfo& info : catalogue.backups()) {
        std::error_code error;
        // Only a copy that reached its end has one.
        const bool files_kept =
            info.end_xlog.valid() && std::filesystem::is_directory(catalogue.data_path(info.backup_id), error);
        const bool standalone = catalogue.keep_of(info.backup_id) == Keep::standalone;
        remaining.push_back({std::move(info), standalone, files_kept});
    }
    return remaining;
}

}  // namespace coffer::catalogue
