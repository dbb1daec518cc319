#include "tools/cofferctl/catalogue_view.h"

#include <algorithm>

#include "lib/retention/candidates.h"

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
    const auto from = [this](const std::string& name) {
        return std::lower_bound(lines_.begin(), lines_.end(), name,
                                [](const wal::XlogLine& line, const auto& n) { return line.name < n; });
    };
    const std::string timeline = backup.begin_wal.substr(0, 8);
    const auto end = from(timeline + "G");  // behind all of this timeline
    if (end != lines_.begin() && std::prev(end)->name.starts_with(timeline)) figures.last = std::prev(end)->name;
    for (auto at = from(backup.begin_wal); at != end; ++at) {
        const wal::XlogLine& line = *at;
        if (line.name <= backup.end_wal) {
            ++figures.within_files;
            figures.within_bytes += line.size;
        } else if (following != nullptr && line.name > following->end_wal) {
            break;
        } else {
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

const retention::Decision& CatalogueView::decision() const {
    if (decision_) return *decision_;
    const auto has_wal = [this](const std::string& name) {
        const auto found = std::lower_bound(lines_.begin(), lines_.end(), name,
                                            [](const wal::XlogLine& line, const auto& n) { return line.name < n; });
        return found != lines_.end() && found->name == name;
    };
    const auto situation = retention::situation_of(server_, backups_, has_wal);
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
