#pragma once
// Up to where WAL is durable on this box, by timeline: what streaming goes on from.
//
// Reads the directories, syncs the files found (a crash may have left them in memory only), and checks the records of
// the newest unfinished segment. An unfinished segment that exists whole elsewhere does not count; whole segments
// behind it are followed as far as there is no hole. A timeline of which only an unfinished segment without a valid
// record is held counts from the start of that segment. An unfinished segment whose records fill it to its end (the
// process ended before the last rename) gets its final name, for nobody else would ever finish it. What lies before a
// hole that nobody can fill does not count where anything is held behind it: the unfinished segment that the hole
// begins in stays for ever, and may be the only file of streaming/. Throws io, no_space.
#include <functional>
#include <map>
#include <optional>

#include "lib/base/files.h"
#include "lib/wal/segment_name.h"
#include "streamer/durable_lsn.h"

namespace coffer::streamer {

struct HeldWalQuestion {
    Path streaming;
    Path archive;
    wal::SegmentSize size;
    // The end of the valid records in an unfinished segment's file.
    std::function<Lsn(const Path& partial, const wal::Segment& segment)> valid_end;
    // Called for each segment that got its final name.
    std::function<void(const wal::Segment& segment)> completed = {};
    // Called for an unfinished segment that cannot be synced, before the error is thrown: a second attempt may succeed
    // without anything having reached the disk.
    std::function<void(const wal::Segment& segment)> not_synced = {};
    // Where the newest hole ends that is known (lib/wal/gaps.h), by timeline.
    std::map<TimelineId, Lsn> holes_end = {};
};

std::map<TimelineId, DurableLsn> find_held_wal(const HeldWalQuestion& question);

// Whole segments without a hole in between.
struct HeldRun {
    Lsn begin;
    DurableLsn end;
};
// The first one that the archive holds at from or behind it: where to go on when nobody has what is before.
std::optional<HeldRun> next_run(const HeldWalQuestion& question, TimelineId timeline, Lsn from);

}  // namespace coffer::streamer
