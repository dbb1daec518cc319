#include "lib/restore/timeline_path.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/wal/segment_name.h"

namespace coffer::restore {
namespace {

std::string known_timelines(TimelineId backup_timeline, const Histories& histories) {
    std::string names = std::to_string(backup_timeline);
    for (const auto& [timeline, ancestors] : histories) {
        if (timeline != backup_timeline) names += fmt::format(", {}", timeline);
    }
    return names;
}

const Ancestor* find_ancestor(const std::vector<Ancestor>& ancestors, TimelineId timeline) {
    const auto found = std::find_if(ancestors.begin(), ancestors.end(),
                                    [&](const Ancestor& ancestor) { return ancestor.timeline == timeline; });
    return found == ancestors.end() ? nullptr : &*found;
}

}  // namespace

bool descends(TimelineId wanted, TimelineId backup_timeline, Lsn backup_end, const Histories& histories) {
    if (wanted == backup_timeline) return true;
    const auto history = histories.find(wanted);
    if (history == histories.end()) return false;
    const Ancestor* const ancestor = find_ancestor(history->second, backup_timeline);
    return ancestor != nullptr && ancestor->left_at >= backup_end;
}

TimelineId resolve(const TargetTimeline& wanted, TimelineId backup_timeline, Lsn backup_end,
                   const Histories& histories) {
    if (wanted.kind == TargetTimeline::Kind::number) return wanted.number;
    TimelineId found = backup_timeline;
    if (wanted.kind == TargetTimeline::Kind::current) return found;
    for (const auto& [timeline, ancestors] : histories) {
        if (descends(timeline, backup_timeline, backup_end, histories)) found = std::max(found, timeline);
    }
    return found;
}

TimelinePath path_to(TimelineId wanted, TimelineId backup_timeline, Lsn backup_end, const Histories& histories) {
    if (wanted == backup_timeline) return {{wanted, Lsn{}, no_end}};
    const auto history = histories.find(wanted);
    const auto own = histories.find(backup_timeline);
    if (wanted == 1 || (own != histories.end() && find_ancestor(own->second, wanted) != nullptr)) {
        throw Error(
            ErrorCode::target_unreachable,
            fmt::format("the backup was taken on timeline {}, after timeline {} was left", backup_timeline, wanted), "",
            "choose an earlier backup, or another timeline");
    }
    if (history == histories.end()) {
        throw Error(ErrorCode::no_such_wal, fmt::format("the history of timeline {} is not held", wanted),
                    wal::history_name(wanted),
                    fmt::format("timelines that are known: {}", known_timelines(backup_timeline, histories)));
    }
    const Ancestor* const ancestor = find_ancestor(history->second, backup_timeline);
    if (ancestor == nullptr || ancestor->left_at < backup_end) {
        throw Error(ErrorCode::target_unreachable,
                    fmt::format("timeline {} does not descend from this backup (timeline {}, ended at {}{})", wanted,
                                backup_timeline, backup_end.to_string(),
                                ancestor == nullptr ? "" : ", left at " + ancestor->left_at.to_string()),
                    wal::history_name(wanted), "choose an earlier backup, or another timeline");
    }
    TimelinePath path;
    Lsn begin;
    for (const Ancestor* step = ancestor; step != history->second.data() + history->second.size(); ++step) {
        path.push_back({step->timeline, begin, step->left_at});
        begin = step->left_at;
    }
    path.push_back({wanted, begin, no_end});
    return path;
}

}  // namespace coffer::restore
