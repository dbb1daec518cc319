#include "lib/retention/candidates.h"

#include <sys/stat.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/catalogue/catalogue.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"

namespace coffer::retention {
namespace {

constexpr std::uint64_t most_history = 1 << 20;
constexpr std::size_t folder_digits = 16;
constexpr std::size_t at_once = 64;  // backups for one thread

// What has been streamed counts, whole or not: a backup is DONE when its end is durable here, wherever it lies.
bool is_complete(const config::Server& server, const catalogue::BackupInfo& info, const HasWal& has_wal) {
    try {
        const auto needed = info.required_segments();
        return std::all_of(needed.begin(), needed.end(), [&](const wal::Segment& segment) {
            const std::string name = segment.name(info.xlog_segment_size);
            return has_wal(name) || wal::find_now(server, name, true).has_value();
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        return false;  // it asks for an impossible amount of WAL
    }
}

void note(std::map<TimelineId, WallTime>& last_wal, TimelineId timeline, const Path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return;
    const WallTime written(std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(status.st_mtim.tv_sec)));
    WallTime& last = last_wal.emplace(timeline, written).first->second;
    last = std::max(last, written);
}

void read_history(Timelines& timelines, const Path& file, TimelineId timeline) {
    try {
        const std::string text = wal::decompress_file(file, most_history);
        timelines.paths.emplace(timeline,
                                wal::TimelinePath(wal::TimelineHistory::parse(text, timeline, file.string())));
    } catch (const Error& error) {
        log_warning("a history is not known to the retention policy: {}", error.what());
    }
}

// The newest segment of each timeline lies in the last of its folders, or is being received.
Timelines timelines_of(const config::Server& server) {
    Timelines timelines;
    std::map<TimelineId, Path> last_folders;
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(server.wals_directory, absent)) {
        const std::string name = entry.path().filename().string();
        const TimelineId timeline = wal::timeline_of(name);
        if (timeline == 0) continue;
        if (wal::kind_of(name) == wal::FileKind::history) {
            read_history(timelines, entry.path(), timeline);
        } else if (name.size() == folder_digits) {
            Path& last = last_folders[timeline];
            last = std::max(last, entry.path());
        }
    }
    for (const auto& [timeline, folder] : last_folders) {
        Path newest;
        for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
            if (wal::timeline_of(entry.path().filename().string()) == timeline) newest = std::max(newest, entry.path());
        }
        if (!newest.empty()) note(timelines.last_wal, timeline, newest);
    }
    for (const auto& entry : std::filesystem::directory_iterator(server.streaming_wals_directory, absent)) {
        const std::string name = entry.path().filename().string();
        const wal::FileKind kind = wal::kind_of(name);
        if (kind == wal::FileKind::segment || kind == wal::FileKind::partial)
            note(timelines.last_wal, wal::timeline_of(name), entry.path());
    }
    timelines.gaps = wal::read_gaps(server);
    return timelines;
}

}  // namespace

Situation situation_of(const config::Server& server, std::vector<catalogue::BackupInfo> backups,
                       const HasWal& has_wal) {
    Situation situation;
    const catalogue::Catalogue catalogue(server);
    situation.backups.resize(backups.size());
    run_in_batches(backups.size(), at_once, [&](std::size_t i) {
        catalogue::BackupInfo& info = backups[i];
        Candidate& candidate = situation.backups[i];
        std::error_code error;
        // Only a copy that reached its end has one.
        candidate.files_kept =
            info.end_xlog.valid() && std::filesystem::is_directory(catalogue.data_path(info.backup_id), error);
        candidate.keep = catalogue.keep_of(info.backup_id);
        candidate.wal_complete = info.status != catalogue::BackupStatus::done || is_complete(server, info, has_wal);
        candidate.damaged = catalogue.is_damaged(info.backup_id);
        candidate.info = std::move(info);
    });
    situation.timelines = timelines_of(server);
    return situation;
}

}  // namespace coffer::retention
