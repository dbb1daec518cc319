#pragma once
// Is this segment what its name says, and is every record in it whole?
//
// Checks every page header (magic for the version, timeline, address, and on long headers system identifier, segment
// size and block size) and the CRC-32C of every record that lies wholly in the data; a record that began in the
// previous segment is followed by length only, one that continues in the next is accepted as far as it goes. Format:
// PostgreSQL src/include/access/xlogrecord.h, xlog_internal.h (13 to 18). Foreign bytes: never trusts a length, never
// reads outside. Pure functions; thread-safe; about 1 GB/s or better.
#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/files.h"
#include "lib/wal/record.h"
#include "lib/wal/segment_name.h"

namespace coffer::wal {

struct Expected {
    Segment segment;
    SegmentSize size;
    std::optional<std::uint64_t> system_identifier;  // nullopt: not compared
    std::uint32_t major_version = 0;                 // 13 .. 18; 0: any known magic
};

struct Damage {
    Lsn at;
    std::string what;  // "page header: system identifier 7312… instead of 7440…", "record: CRC is wrong"
};

struct SegmentCheck {
    // The end of the last whole record (or of the continuation at the head); begin(segment) when there is nothing
    // valid. Everything before it is proven (the head continuation by its pages only). end(segment) after a switch
    // record whose padding is here. When the last record of a complete segment goes on in the next one, this is where
    // that record begins.
    Lsn valid_end;
    // Records up to the very end of the segment, or a switch record, whatever follows it.
    bool complete = false;
    // Of the last page that holds any of it, the padding behind a switch record left out; 0 when there is nothing
    // valid.
    TimelineId timeline = 0;
    // Where valid data ends although the segment should go on (not set for the zero tail of an unfinished segment when
    // unfinished_allowed).
    std::optional<Damage> damage;
    // Of the record that begins in a complete segment and goes on in the next one: its header, as far as it is here.
    std::vector<std::byte> open_header;
    std::uint32_t open_crc = 0;        // of what follows the header
    std::uint32_t open_remaining = 0;  // bytes of it in the segments that follow; 0 when there is no such record
    // What of an earlier segment's record lies at the head: see RecordRest.
    std::uint64_t rest_size = 0;
    std::uint32_t rest_crc = 0;
    bool rest_ends = false;
    // Why the walk ended at valid_end when the segment is not complete, also where that is normal ("record: empty").
    std::string end_reason;
};

// data: at most size bytes; shorter data counts as unfinished. unfinished_allowed: zeros or an incomplete record behind
// valid_end are normal (a ".partial"); damage is then reported only for a bad page header of a page that is not empty
// at the front of the file.
// The timeline of a page may be lower than the segment's: a new timeline's first segment begins with pages of the old
// one.
SegmentCheck check_segment(ByteSpan data, const Expected& expected, bool unfinished_allowed);

// The same for data that comes in pieces of any size (decompression, a large file); memory is one page.
class SegmentChecker {
  public:
    SegmentChecker(const Expected& expected, bool unfinished_allowed);
    // Also hands on the whole records of the kinds to keep; one that begins or ends in another segment is not among
    // them.
    SegmentChecker(const Expected& expected, bool unfinished_allowed, std::function<void(const RecordView&)> handler,
                   const std::bitset<256>& keep);
    SegmentChecker(SegmentChecker&&) noexcept;
    ~SegmentChecker();
    void add(ByteSpan bytes);
    [[nodiscard]] SegmentCheck result();  // once, at the end

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// What the first page says of itself; nullopt when it is not a first page of a segment.
struct SegmentIdentity {
    std::uint16_t magic = 0;
    TimelineId timeline = 0;
    Lsn address;
    std::uint64_t system_identifier = 0;
    SegmentSize size;
    std::uint32_t major_version = 0;  // by the magic; 0 unknown
};
std::optional<SegmentIdentity> identify_segment(ByteSpan data);

}  // namespace coffer::wal
