#pragma once
// Where a recovery ends, as a person asks for it: Barman's restore options (documentation of Barman 3.17) made into one
// checked value. PostgreSQL decides at its start only, after all the copying, what it does not like; here it is said
// before the first byte. Pure functions, thread-safe; only the conversion of local time reads the machine's zone.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/lsn.h"

namespace coffer::restore {

enum class TargetKind { end, immediate, time, xid, lsn, name };  // end: every record that is held
enum class TargetAction { pause, shutdown, promote };
std::string_view name_of(TargetAction action) noexcept;

struct TargetTimeline {
    enum class Kind { current, latest, number };  // current: the backup's own
    Kind kind = Kind::latest;
    TimelineId number = 0;
};

struct RestoreTarget {
    TargetKind kind = TargetKind::end;
    WallTime time;
    std::uint32_t xid = 0;
    Lsn lsn;
    std::string name;
    TargetTimeline timeline;
    bool inclusive = true;  // time, xid, lsn
    std::optional<TargetAction> action;
    bool standby_mode = false;

    // "to time 2026-11-23 21:00:00.5+00 (inclusive), timeline latest"
    [[nodiscard]] std::string describe() const;
};

// The options as given, not yet looked at.
struct TargetOptions {
    std::optional<std::string> time, xid, lsn, name, timeline, action;
    bool immediate = false;
    bool exclusive = false;
    bool standby_mode = false;
};

struct ParsedTarget {
    RestoreTarget target;
    std::vector<std::string> warnings;
};

// Throws invalid_argument with what is accepted as the remedy.
ParsedTarget parse_target(const TargetOptions& options);

struct ParsedTime {
    WallTime time;
    bool naive = false;      // no zone was given: this machine's was taken
    bool ambiguous = false;  // the clock was put back: it was this time twice; the later one was taken
};
// "2026-11-23", "2026-11-23 21:00", "2026-11-23T21:00:00.123456+01:00", "20261123T210000", with Z, UTC, GMT or a
// numeric offset (its sign as in ISO 8601). Throws invalid_argument, also for a local time that never was.
ParsedTime parse_time(std::string_view text);

// "2026-11-23 21:00:00.123456+00": what PostgreSQL reads whatever its own zone is.
std::string format_utc(WallTime time);

}  // namespace coffer::restore
