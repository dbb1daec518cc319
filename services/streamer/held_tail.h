#pragma once
// The end of what is held of a timeline, to compare what comes with it.
//
// Two servers that were promoted to one timeline number independently, or one that was set back to an older copy of its
// disk, have the same system identifier, the same timeline and other WAL. So streaming begins a little before the end
// of what is held, and nothing is written or acknowledged before the bytes are the same. One page of records is enough
// to tell: each record holds its checksum, and the position of the one before.
#include <optional>
#include <vector>

#include "lib/config/config.h"
#include "lib/wal/segment_name.h"
#include "streamer/diverged.h"

namespace coffer::streamer {

struct HeldTail {
    TimelineId timeline = 0;
    Lsn from;  // start of a page
    std::vector<std::byte>
        content;              // at least one page with records; what follows up to end is the padding of a switch
    Lsn end;                  // of what is held
    std::vector<Path> whole;  // segments that were read for it, but for an unfinished one, whose records are proven
};

// The page that holds the last records before end and the page before it, from not_before on; end must be held. nullopt
// where that cannot be read, or begins before not_before. Memory is three pages. Never throws for a file's content.
std::optional<HeldTail> read_held_tail(const config::Server& server, wal::SegmentSize size, TimelineId timeline,
                                       Lsn end, Lsn not_before);

// The first of its segments that is not what the server once sent (its checksum, or its records, tell); nullopt when
// all are. Reads them whole. Throws io.
std::optional<Path> damaged_file(const HeldTail& tail, wal::SegmentSize size);

// Compares a stream that begins at the tail's start with the tail.
class TailComparison {
  public:
    explicit TailComparison(HeldTail tail) noexcept : tail_(std::move(tail)), position_(tail_.from) {}

    // The next bytes. What of them lies behind the tail's end is given back. Throws server_mismatch where they differ.
    [[nodiscard]] ByteSpan take(ByteSpan data);
    [[nodiscard]] bool done() const noexcept { return position_ >= tail_.end; }

  private:
    HeldTail tail_;
    Lsn position_;
};

}  // namespace coffer::streamer
