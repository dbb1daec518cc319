#include "tools/cofferctl/catalogue_view.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/retention/candidates.h"

namespace coffer::cofferctl {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

namespace {

// A backup with more WAL of its own is not judged by the index, but by what lies on disk.
constexpr std::size_t most_segments = 1000;

bool is_done(const BackupInfo& backup) {
    return backup.status == BackupStatus::done;
}

// The first one with a later ID; or with this one, where it need not be later.
auto behind(const std::vector<BackupInfo>& backups, const std::string& id, bool later) {
    return std::partition_point(backups.begin(), backups.end(), [&](const BackupInfo& each) {
        return later ? each.backup_id <= id : each.backup_id < id;
    });
}

// Behind all segments of the timeline that it is on.
std::string end_of_timeline(const BackupInfo& backup) {
    return backup.begin_wal.substr(0, 8) + "G";
}

std::vector<std::string> names_asked_for(const std::vector<BackupInfo>& backups) {
    std::vector<std::string> names;
    for (const BackupInfo& backup : backups) {
        if (backup.begin_wal.empty()) continue;
        names.insert(names.end(),
                     {backup.begin_wal, backup.end_wal, end_of_timeline(backup), backup.begin_wal.substr(0, 8)});
        try {
            const auto needed = backup.required_segments();
            if (needed.size() > most_segments) continue;
            for (const wal::Segment& segment : needed) names.push_back(segment.name(backup.xlog_segment_size));
        } catch (const Error&) {  // its record is nonsense, which is told elsewhere
        }
    }
    return names;
}

}  // namespace

std::string_view type_of(const BackupInfo& backup) {
    if (!backup.parent().empty()) return "incremental";
    if (backup.mode.find("rsync") != std::string::npos) return "rsync";
    return backup.mode.find("snapshot") != std::string::npos ? "snapshot" : "full";
}

CatalogueView::CatalogueView(const config::Server& server)
    : server_(server), backups_(catalogue::Catalogue(server).backups()) {}

const wal::XlogTally& CatalogueView::wal() const {
    if (!wal_) wal_.emplace(wal::xlogdb_path(server_), names_asked_for(backups_));
    return *wal_;
}

const BackupInfo* CatalogueView::previous(const BackupInfo& backup) const {
    const auto end = std::make_reverse_iterator(behind(backups_, backup.backup_id, false));
    const auto found = std::find_if(end, backups_.rend(), is_done);
    return found == backups_.rend() ? nullptr : &*found;
}

const BackupInfo* CatalogueView::next(const BackupInfo& backup) const {
    const auto found = std::find_if(behind(backups_, backup.backup_id, true), backups_.end(), is_done);
    return found == backups_.end() ? nullptr : &*found;
}

WalFigures CatalogueView::wal_of(const BackupInfo& backup) const {
    WalFigures figures;
    if (backup.end_wal.empty()) return figures;
    const BackupInfo* following = next(backup);
    const std::string end = end_of_timeline(backup);
    const bool same = following != nullptr && following->end_wal < end && following->end_wal > backup.end_wal;
    const wal::XlogTally::Sum within = wal().within(backup.begin_wal, backup.end_wal);
    const wal::XlogTally::Sum after = wal().after(backup.end_wal, same ? following->end_wal : end);
    figures.last = wal().within(backup.begin_wal.substr(0, 8), end).last;
    figures.within_files = within.files;
    figures.within_bytes = within.bytes;
    figures.after_files = after.files;
    figures.after_bytes = after.bytes;
    if (after.files > 0 && backup.end_time && after.last_modified > *backup.end_time) {
        const std::chrono::duration<double> span = after.last_modified - *backup.end_time;
        figures.per_second = static_cast<double>(after.files) / span.count();
    }
    const auto saved = [&](std::uint64_t files, std::uint64_t bytes) {
        const auto plain = static_cast<double>(files * backup.xlog_segment_size.bytes());
        return plain > 0 ? 1 - static_cast<double>(bytes) / plain : 0;
    };
    figures.within_saved = saved(figures.within_files, figures.within_bytes);
    figures.after_saved = saved(figures.after_files, figures.after_bytes);
    return figures;
}

const retention::Decision& CatalogueView::decision() const {
    if (decision_) return *decision_;
    const wal::XlogTally& index = wal();
    const auto has_wal = [&index](const std::string& name) { return index.has(name); };
    const auto situation = retention::situation_of(server_, backups_, has_wal);
    for (const retention::Candidate& each : situation.backups) {
        if (each.damaged) damaged_.insert(each.info.backup_id);
    }
    decision_ = retention::decide(situation.backups, situation.timelines, retention::policy_of(server_), Clock().now());
    return *decision_;
}

const retention::Judgement& CatalogueView::judgement_of(const BackupInfo& backup) const {
    static const retention::Judgement none;
    const auto& all = decision().backups;
    const auto found = std::lower_bound(all.begin(), all.end(), backup.backup_id,
                                        [](const auto& each, const auto& id) { return each.backup_id < id; });
    return found != all.end() && found->backup_id == backup.backup_id ? *found : none;
}

std::string CatalogueView::retention_of(const BackupInfo& backup) const {
    return judgement_of(backup).status();
}

bool CatalogueView::is_damaged(const BackupInfo& backup) const {
    (void)decision();
    return damaged_.contains(backup.backup_id);
}

std::size_t CatalogueView::done_count() const {
    return static_cast<std::size_t>(std::count_if(backups_.begin(), backups_.end(), is_done));
}

std::size_t CatalogueView::full_count() const {
    return static_cast<std::size_t>(std::count_if(backups_.begin(), backups_.end(), [](const BackupInfo& backup) {
        return is_done(backup) && backup.parent().empty();
    }));
}

const BackupInfo* CatalogueView::first_done() const {
    const auto found = std::find_if(backups_.begin(), backups_.end(), is_done);
    return found == backups_.end() ? nullptr : &*found;
}

const BackupInfo* CatalogueView::last_done() const {
    const auto found = std::find_if(backups_.rbegin(), backups_.rend(), is_done);
    return found == backups_.rend() ? nullptr : &*found;
}

}  // namespace coffer::cofferctl
