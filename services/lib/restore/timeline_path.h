#pragma once
// From the timeline of a backup to the one wanted: which stretch of WAL belongs to which timeline on the way.
//
// A history file (PostgreSQL documentation, "Timelines") names the ancestors of its timeline and where each was left.
// Pure functions, thread-safe.
#include <map>
#include <string>
#include <vector>

#include "lib/base/lsn.h"
#include "lib/restore/target.h"

namespace coffer::restore {

// An ancestor, and where its successor left it.
struct Ancestor {
    TimelineId timeline = 0;
    Lsn left_at;
};
// Ancestors of each timeline whose history file is held, oldest first. Timeline 1 has none and no file.
using Histories = std::map<TimelineId, std::vector<Ancestor>>;

// WAL in [begin, end) is read from this timeline.
struct TimelineSpan {
    TimelineId timeline = 0;
    Lsn begin;
    Lsn end;  // the last one has no end: 0xFFFFFFFFFFFFFFFF
};
using TimelinePath = std::vector<TimelineSpan>;
inline constexpr Lsn no_end{~0ULL};

// Can a backup that ended at backup_end on this timeline be recovered along wanted?
bool descends(TimelineId wanted, TimelineId backup_timeline, Lsn backup_end, const Histories& histories);

// latest: the highest timeline that descends from the backup's; a number is taken as it is.
TimelineId resolve(const TargetTimeline& wanted, TimelineId backup_timeline, Lsn backup_end,
                   const Histories& histories);

// From the backup's timeline to wanted, oldest first. Throws target_unreachable when wanted does not descend from the
// backup, no_such_wal when its history file is not held.
TimelinePath path_to(TimelineId wanted, TimelineId backup_timeline, Lsn backup_end, const Histories& histories);

}  // namespace coffer::restore
