#pragma once
// What a failed sync made doubtful: it may be in memory only, though it can be read and a second sync succeeds.
//
// It is fetched from the server and written again; until that is synced, nothing of it counts as held. In memory only:
// what a failed sync of received bytes leaves is also cut off the file (SegmentFile), what it leaves of a found file is
// not, for that was durable once and may be all that there is. Belongs to one receiver's thread.
#include <algorithm>
#include <map>

#include "lib/base/lsn.h"

namespace coffer::streamer {

class Doubts {
  public:
    void distrust(TimelineId timeline, Lsn from, Lsn to) {
        const auto [found, added] = ranges_.try_emplace(timeline, Range{from, to});
        if (!added) found->second = {std::min(found->second.from, from), std::max(found->second.to, to)};
    }
    // Everything of the timeline that was received since then is synced up to end.
    void synced(TimelineId timeline, Lsn end) {
        const auto found = ranges_.find(timeline);
        if (found == ranges_.end()) return;
        found->second.from = std::max(found->second.from, end);
        if (found->second.to <= end) ranges_.erase(found);
    }
    // How much of what seems to be held up to end can be believed.
    [[nodiscard]] Lsn believed(TimelineId timeline, Lsn end) const {
        const auto found = ranges_.find(timeline);
        return found == ranges_.end() ? end : std::min(end, found->second.from);
    }

  private:
    struct Range {
        Lsn from;
        Lsn to;
    };
    std::map<TimelineId, Range> ranges_;
};

}  // namespace coffer::streamer
