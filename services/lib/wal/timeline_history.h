#pragma once
// The history of a timeline, and the path of the log through its ancestors.
//
// Format of TTTTTTTT.history: PostgreSQL src/backend/access/transam/timeline.c (13 to 18): a line per ancestor, oldest
// first: its number, the LSN at which the next one left it, and a reason, set apart by white space; "#" begins a
// comment. Foreign bytes: parse() throws corrupt with the line.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wal/segment_name.h"

namespace coffer::wal {

struct TimelineSwitch {
    TimelineId timeline = 0;  // that was left
    Lsn at;
    std::string reason;
};

struct TimelineHistory {
    TimelineId timeline = 0;
    std::vector<TimelineSwitch> ancestors;  // oldest first

    static TimelineHistory parse(std::string_view text, TimelineId timeline, std::string_view where);
    [[nodiscard]] std::string format() const;
};

// One stretch of the log on one timeline; end is nullopt for the last.
struct PathPart {
    TimelineId timeline = 0;
    Lsn begin;
    std::optional<Lsn> end;
};

// The way from the beginning of the log to a target timeline. Never empty.
class TimelinePath {
  public:
    // A target without ancestors, as timeline 1 is.
    explicit TimelinePath(TimelineId target);
    explicit TimelinePath(const TimelineHistory& history);
    // The content of TTTTTTTT.history; nullopt when it is not here.
    using HistoryReader = std::function<std::optional<std::string>(TimelineId)>;
    // Throws no_such_wal when the history of a target above 1 is not here, corrupt when it cannot be read.
    static TimelinePath to(TimelineId target, const HistoryReader& reader);

    [[nodiscard]] const std::vector<PathPart>& parts() const noexcept { return parts_; }
    [[nodiscard]] TimelineId target() const noexcept { return parts_.back().timeline; }
    // The timeline that the byte at lsn is on.
    [[nodiscard]] TimelineId timeline_at(Lsn lsn) const noexcept;
    // Does the path use this timeline, up to lsn at least?
    [[nodiscard]] bool contains(TimelineId timeline, Lsn lsn) const noexcept;
    // Where the path leaves the timeline; nullopt when it does not, or never is on it.
    [[nodiscard]] std::optional<Lsn> switch_from(TimelineId timeline) const noexcept;
    // The timelines whose files may hold the segment, best first: PostgreSQL reads it from the newest timeline that has
    // begun in or before it, and from an older one where that file does not exist.
    [[nodiscard]] std::vector<TimelineId> candidates(std::uint64_t segment_number, SegmentSize size) const;

  private:
    std::vector<PathPart> parts_;
};

}  // namespace coffer::wal
