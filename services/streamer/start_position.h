#pragma once
// Where to begin streaming, from what is here and what the server says. A pure function, so that every case is a row of
// a table in its test.
//
// The rule: the newest position held on a timeline that the server itself went through, as far as that timeline belongs
// to the server's history; a timeline that was left goes on with the next one, from the start of the segment that holds
// the switch point, so that the new timeline's file of that segment is whole. Where nothing is held: the slot's restart
// position; without one, the server's present position; both rounded down to the start of a segment.
#include <map>
#include <optional>

#include "lib/wal/gaps.h"
#include "lib/wal/segment_name.h"
#include "streamer/timeline_path.h"

namespace coffer::streamer {

// How much of the preferred start the server turned out to have removed already.
enum class Removed { nothing, behind_held, behind_slot };

struct StartQuestion {
    wal::SegmentSize size;
    TimelinePath path{1, {}};
    Lsn server_end;                   // IDENTIFY_SYSTEM
    std::map<TimelineId, Lsn> held;   // the end of what is durable here, by timeline
    std::optional<Lsn> slot_restart;  // where the slot keeps WAL from
    Removed removed = Removed::nothing;
};

struct Start {
    TimelineId timeline = 0;
    Lsn lsn;
    bool continues_held = false;     // goes on exactly where the held WAL of that timeline ends
    std::optional<Lsn> diverged;     // WAL is held up to here that the server's history does not contain
    std::optional<wal::WalGap> gap;  // WAL in between that nobody has any more
    bool server_behind = false;      // the server has less than is held here: wait for it
};

Start decide_start(const StartQuestion& question);

}  // namespace coffer::streamer
