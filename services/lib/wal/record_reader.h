#pragma once
// Reads the records of the log over segments and timelines.
//
// Segments are asked for one after the other and streamed through; memory is one page and one record. Every page header
// and record is proven on the way (page_walker.h). One thread per call.
#include <functional>
#include <optional>
#include <string>

#include "lib/wal/holdings.h"
#include "lib/wal/page_walker.h"
#include "lib/wal/timeline_history.h"

namespace coffer::wal {

// A segment to read, and how far.
struct ChosenSegment {
    Segment segment;
    std::optional<Lsn> limit;  // records from here on belong to a history that was given up
    bool partial = false;
};

// Where segments come from. The functions are called while a read runs only.
struct LogSource {
    SegmentSize size;
    std::optional<std::uint64_t> system_identifier;
    std::uint32_t major_version = 0;
    // The file to read for the segment of this number; nullopt when there is none.
    std::function<std::optional<ChosenSegment>(std::uint64_t number)> choose;
    // Gives the plain bytes of a chosen segment to the sink, in order. Throws io, corrupt.
    std::function<void(const Segment&, const std::function<void(ByteSpan)>& sink)> load;
};

// What this box holds along a path of timelines, the unfinished segment included. All three must outlive the source. A
// file that has moved since the scan (streaming to archive) is looked for again.
LogSource source_of(const config::Server& server, const Holdings& holdings, const TimelinePath& path);

struct ReadEnd {
    enum class Reason {
        handler,     // it wanted no more
        missing,     // the next segment is not here
        end_of_log,  // zeros, half a record, or an older use of the file: where the unfinished segment ends
        limit,       // where the path leaves the timeline of the only file that is here
        damage,      // in a segment that should be whole
    };
    Reason reason = Reason::missing;
    Lsn end;                         // of the last whole record; 0 when there was none
    std::optional<Damage> stopped;   // where and why, for end_of_log and damage
    std::uint64_t next_segment = 0;  // that is missing, or in which the read ended
};

// Calls handler for each record that begins at from or behind it. keep: kinds whose payload is wanted.
ReadEnd read_records(const LogSource& source, Lsn from, const RecordKinds& keep, const RecordHandler& handler);

}  // namespace coffer::wal
