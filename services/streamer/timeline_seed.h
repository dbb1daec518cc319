#pragma once
// The first segment of a new timeline, from what is held of the old one.
//
// It begins with a copy of the old timeline's segment up to the switch, which PostgreSQL itself makes so. Recovery
// prefers the newer timeline's file of a segment: one that a crash left with less than that would hide commits behind
// its end that the old timeline's file holds, acknowledged. So it never appears with less.
#include "lib/config/config.h"
#include "lib/wal/segment_name.h"

namespace coffer::streamer {

// Timeline to left from at. Does nothing where the switch is at a segment's boundary, where the file is there already,
// or where the old one is not held as far (then nothing is hidden). Throws io, no_space; safe to repeat.
void seed_timeline(const config::Server& server, wal::SegmentSize size, TimelineId from, TimelineId to, Lsn at);

}  // namespace coffer::streamer
