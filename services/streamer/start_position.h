#pragma once
// Where to begin streaming, from what is here and what the server says. A pure function, so that every case is a row of
// a table in its test.
//
// The rule: the newest position held on a timeline that the server itself went through, as far as that timeline belongs
// to the server's history; a timeline that was left goes on with the next one, from the start of the segment that holds
// the switch point, so that the new timeline's file of that segment is whole. Where nothing is held: the slot's restart
// position; without one, the server's present position; both rounded down to the start of a segment.
//
// Where the server has removed what is wanted: the slot's restart position; without a slot, or where that is removed
// too, segments farther and farther behind what is held, at double the distance each time (a hole of thousands is
// crossed in a few attempts), at last the server's present position. None of them skips what the archive holds behind
// the hole: streaming then goes on where that ends.
#include <map>
#include <optional>

#include "lib/wal/gaps.h"
#include "lib/wal/segment_name.h"
#include "streamer/timeline_path.h"

namespace coffer::streamer {

// Whole segments that are held behind a hole.
struct RunBehind {
    Lsn begin;
    Lsn end;
};

struct StartQuestion {
    wal::SegmentSize size;
    TimelinePath path{1, {}};
    Lsn server_end;                               // IDENTIFY_SYSTEM
    std::map<TimelineId, Lsn> held;               // the end of what is durable here, by timeline
    std::optional<Lsn> slot_restart;              // where the slot keeps WAL from
    std::optional<Lsn> removed;                   // the newest position that this server turned out to have removed
    std::map<TimelineId, RunBehind> behind = {};  // what the archive holds behind held; asked for with removed only
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
