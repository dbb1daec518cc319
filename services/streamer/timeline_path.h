#pragma once
// The timelines that led to a server's present one, and where each was left.
//
// Format of a history file: PostgreSQL documentation, "Timelines"; lines "parent TAB switch point TAB reason", oldest
// first. Foreign bytes: throws corrupt. Plain value.
#include <optional>
#include <string_view>
#include <vector>

#include "lib/base/lsn.h"

namespace coffer::streamer {

class TimelinePath {
  public:
    struct Step {
        TimelineId timeline = 0;
        std::optional<Lsn> end;  // where the next one begins; nullopt: the present one
    };
    // history: the server's history file of that timeline; empty for a timeline that has none.
    TimelinePath(TimelineId present, std::string_view history);

    [[nodiscard]] const std::vector<Step>& steps() const noexcept { return steps_; }  // oldest first, never empty
    [[nodiscard]] TimelineId present() const noexcept { return steps_.back().timeline; }
    // The timeline on which the byte at lsn was (or will be) written.
    [[nodiscard]] TimelineId timeline_at(Lsn lsn) const noexcept;

  private:
    std::vector<Step> steps_;
};

}  // namespace coffer::streamer
