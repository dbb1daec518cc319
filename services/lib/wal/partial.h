#pragma once
// How far the log of a server is durable on this box, as far as streaming/ and the archive tell.
//
// The streamer asks for the place to go on from, a backup whether its end is here, a restore for the very last record.
// The file is synced before it is read: after a kill its bytes may so far be in memory only, and what is returned is a
// promise. Thread-safe; the streamer may write meanwhile (the answer is then the state at some moment during the call).
#include <cstdint>
#include <optional>
#include <string>

#include "lib/config/config.h"
#include "lib/wal/segment_check.h"

namespace coffer::wal {

struct DurableEnd {
    Segment segment;
    Path path;              // of the segment's file
    bool partial = false;   // the file's name ends in ".partial"
    bool complete = false;  // the whole segment is there (a partial that is complete only lacks its last rename)
    // All of the log before is whole records on disk; end(segment) when complete.
    Lsn valid_end;
    std::string end_reason;  // why the records end there, when not complete
};

struct DurableQuery {
    SegmentSize size;
    std::optional<std::uint64_t> system_identifier;
    std::uint32_t major_version = 0;
    std::optional<TimelineId> timeline;  // none: the newest one present
};

// The newest segment in streaming/, by timeline and number. nullopt when there is none. Throws io; corrupt when the
// front of an unfinished file is not what its name says.
std::optional<DurableEnd> streamed_end(const config::Server& server, const DurableQuery& query);

// As streamed_end(), and on from there through whole segments in the archive; without anything in streaming/ the newest
// segment of the archive.
std::optional<DurableEnd> durable_end(const config::Server& server, const DurableQuery& query);

// Syncs and checks one file of streaming/.
DurableEnd check_streamed_file(const Path& path, const Segment& segment, bool partial, const DurableQuery& query);

}  // namespace coffer::wal
