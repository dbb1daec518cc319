#include "tools/cofferctl/catalogue_view.h"

#include <algorithm>

#include "lib/config/retention_policy.h"
#include "lib/config/units.h"

namespace coffer::cofferctl {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

namespace {

bool is_done(const BackupInfo& backup) {
    return backup.status == BackupStatus::done;
}

}  // namespace

CatalogueView::CatalogueView(const config::Server& server)
    : server_(server),
      backups_(catalogue::Catalogue(server).backups()),
      lines_(wal::read_xlogdb(wal::xlogdb_path(server)).lines) {
    std::erase_if(lines_, [](const wal::XlogLine& line) { return wal::kind_of(line.name) != wal::FileKind::segment; });
    std::sort(lines_.begin(), lines_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

const BackupInfo* CatalogueView::previous(const BackupInfo& backup) const {
    const BackupInfo* found = nullptr;
    for (const BackupInfo& other : backups_) {
        if (other.backup_id >= backup.backup_id) break;
        if (is_done(other)) found = &other;
    }
    return found;
}

const BackupInfo* CatalogueView::next(const BackupInfo& backup) const {
    for (const BackupInfo& other : backups_) {
        if (other.backup_id > backup.backup_id && is_done(other)) return &other;
    }
    return nullptr;
}

WalFigures CatalogueView::wal_of(const BackupInfo& backup) const {
    WalFigures figures;
    if (backup.end_wal.empty()) return figures;
    const BackupInfo* following = next(backup);
    const wal::XlogLine* first_after = nullptr;
    const wal::XlogLine* last_after = nullptr;
    for (const wal::XlogLine& line : lines_) {
        if (line.name.compare(0, 8, backup.begin_wal, 0, 8) != 0) continue;  // another timeline
        figures.last = line.name;
        if (line.name >= backup.begin_wal && line.name <= backup.end_wal) {
            ++figures.within_files;
            figures.within_bytes += line.size;
        } else if (line.name > backup.end_wal && (following == nullptr || line.name <= following->end_wal)) {
            if (first_after == nullptr) first_after = &line;
            last_after = &line;
            ++figures.after_files;
            figures.after_bytes += line.size;
        }
    }
    if (first_after != nullptr && backup.end_time && last_after->modified > *backup.end_time) {
        const std::chrono::duration<double> span = last_after->modified - *backup.end_time;
        figures.per_second = static_cast<double>(figures.after_files) / span.count();
    }
    const auto saved = [&](std::uint64_t files, std::uint64_t bytes) {
        const auto plain = static_cast<double>(files * backup.xlog_segment_size.bytes());
        return plain > 0 ? 1 - static_cast<double>(bytes) / plain : 0;
    };
    figures.within_saved = saved(figures.within_files, figures.within_bytes);
    figures.after_saved = saved(figures.after_files, figures.after_bytes);
    return figures;
}

std::uint64_t CatalogueView::wal_bytes() const {
    std::uint64_t sum = 0;
    for (const wal::XlogLine& line : lines_) sum += line.size;
    return sum;
}

std::string CatalogueView::keep_of(const std::string& backup_id) const {
    const auto text = read_file(server_.meta_directory() / (backup_id + "-keep"), 1024);
    if (!text) return {};
    return config::to_lower(config::trim(*text)) == "standalone" ? "KEEP:STANDALONE" : "KEEP:FULL";
}

std::string CatalogueView::retention_of(const BackupInfo& backup, WallTime now) const {
    if (const std::string keep = keep_of(backup.backup_id); !keep.empty()) return keep;
    const auto policy = config::RetentionPolicy::parse(server_.retention_policy);
    if (!policy || !is_done(backup)) return "-";
    // From the newest on: how many are valid, and whether this one still is.
    std::uint32_t valid = 0;
    bool window_reached = false;
    const std::uint32_t wanted = std::max(policy->redundancy, server_.minimum_redundancy);
    for (auto other = backups_.rbegin(); other != backups_.rend(); ++other) {
        if (!is_done(*other)) continue;
        const bool is_valid = policy->redundancy > 0 ? valid < wanted : !window_reached;
        if (is_valid) ++valid;
        if (policy->redundancy == 0 && other->end_time && *other->end_time < now - policy->window)
            window_reached = true;
        if (other->backup_id != backup.backup_id) continue;
        if (is_valid) return "VALID";
        return policy->redundancy == 0 && valid < server_.minimum_redundancy ? "OBSOLETE*" : "OBSOLETE";
    }
    return "-";
}

std::size_t CatalogueView::done_count() const {
    return static_cast<std::size_t>(std::count_if(backups_.begin(), backups_.end(), is_done));
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
