#pragma once
// Backups and times for the tests of the retention rules. A segment has 16 MB.
#include <fmt/format.h>

#include "lib/retention/retention.h"

namespace coffer::retention {

inline const wal::SegmentSize sample_size = wal::SegmentSize::from_bytes(16 << 20).value();

inline std::string sample_segment(std::uint64_t number, TimelineId timeline = 1) {
    return wal::Segment{timeline, number}.name(sample_size);
}

// number: of the segment that it begins in; it ends in the next one.
inline Candidate sample_backup(WallTime ended, std::uint64_t number, TimelineId timeline = 1) {
    Candidate backup;
    const std::string text = catalogue::format_time(ended);  // 2026-11-23 20:54:29…
    for (const char c : text.substr(0, 19)) {
        if (c == ' ') backup.info.backup_id += 'T';
        if (c >= '0' && c <= '9') backup.info.backup_id += c;
    }
    backup.info.status = catalogue::BackupStatus::done;
    backup.info.timeline = timeline;
    backup.info.begin_time = ended;
    backup.info.end_time = ended;
    backup.info.xlog_segment_size = sample_size;
    backup.info.begin_xlog = Lsn(number * sample_size.bytes() + 40);
    backup.info.end_xlog = Lsn((number + 1) * sample_size.bytes() + 40);
    backup.info.begin_wal = sample_segment(number, timeline);
    backup.info.end_wal = sample_segment(number + 1, timeline);
    backup.files_kept = true;
    return backup;
}

inline Policy sample_policy(const char* text, std::uint32_t minimum_redundancy = 0, const char* tiers = "",
                            std::optional<std::chrono::seconds> wal_window = {}) {
    return {config::RetentionPolicy::parse(text), minimum_redundancy, wal_window,
            config::RetentionTiers::parse(tiers).value()};
}

inline wal::TimelinePath sample_path(TimelineId timeline, std::vector<std::pair<TimelineId, std::uint64_t>> left) {
    wal::TimelineHistory history;
    history.timeline = timeline;
    for (const auto& [ancestor, number] : left)
        history.ancestors.push_back({ancestor, Lsn(number * sample_size.bytes()), ""});
    return wal::TimelinePath(history);
}

}  // namespace coffer::retention
