#include "lib/catalogue/wal_release.h"

#include <algorithm>
#include <charconv>

#include "lib/catalogue/catalogue.h"

namespace coffer::catalogue {
namespace {

constexpr std::size_t segment_digits = 24;

TimelineId timeline_of(std::string_view name) {
    TimelineId timeline = 0;
    std::from_chars(name.data(), name.data() + 8, timeline, 16);
    return timeline;
}

bool needs_wal(const RemainingBackup& backup) {
    // A record that cannot be read may be that of a good backup.
    return backup.info.status != BackupStatus::failed || backup.info.unreadable || backup.files_kept;
}

}  // namespace

bool WalRelease::releases(std::string_view name) const {
    const wal::FileKind kind = wal::kind_of(name);
    if (kind != wal::FileKind::segment && kind != wal::FileKind::partial && kind != wal::FileKind::backup_label) {
        return false;
    }
    const std::string_view segment = name.substr(0, segment_digits);
    const TimelineId timeline = timeline_of(segment);
    if (std::count(protected_timelines.begin(), protected_timelines.end(), timeline) != 0) return false;
    for (const auto& [from, to] : needed) {
        if (segment >= from && segment <= to) return false;
    }
    return segment < before;
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
    for (const RemainingBackup& backup : remaining) {
        if (!needs_wal(backup) || backup.standalone) continue;
        const TimelineId timeline = timeline_of(backup.info.begin_wal);
        if (timeline != timeline_of(release.before)) release.protected_timelines.push_back(timeline);
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
