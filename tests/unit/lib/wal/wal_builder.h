#pragma once
// Writes valid WAL for tests: pages and records of a chosen version, segment size and timeline, from the start of a
// segment.
//
// An own writer, on purpose knowing nothing of the code that reads (only the arithmetic of names is shared).
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/wal/segment_name.h"

namespace coffer::test {

struct WalOptions {
    std::uint32_t major_version = 15;
    wal::SegmentSize size = *wal::SegmentSize::from_bytes(1 << 20);
    wal::Segment first{1, 5};
    std::uint64_t system_identifier = 7312000000000000001ULL;
};

class WalBuilder {
  public:
    explicit WalBuilder(const WalOptions& options = {});

    // Each returns where the record begins.
    Lsn record(std::uint8_t rmid, std::uint8_t info, std::uint32_t xid, std::string_view main_data);
    Lsn filler(std::size_t main_data_bytes);  // of no interest, rmid 10 (heap)
    Lsn commit(std::uint32_t xid, WallTime time);
    Lsn abort(std::uint32_t xid, WallTime time);
    // Written by transaction 0, with every optional part in front of the transaction's own number.
    Lsn commit_prepared(std::uint32_t xid, WallTime time);
    Lsn abort_prepared(std::uint32_t xid, WallTime time);
    Lsn restore_point(std::string_view name, WallTime time);
    Lsn checkpoint(std::chrono::sys_seconds time);  // online
    // The switch record; the next record begins in the next segment.
    Lsn switch_segment();
    // A record of which only bytes are written, up to the end of its page at least; the next page says it was given up.
    Lsn abandon(std::size_t main_data_bytes);
    // Fillers until the position is in the next segment.
    void fill_segment();
    // Pages from here on carry this timeline.
    void set_timeline(TimelineId timeline) { timeline_ = timeline; }

    // Where the next record begins (a page's header is skipped only when it is written).
    [[nodiscard]] Lsn position() const { return begin_ + bytes_.size(); }
    // The bytes of a segment; zeros where nothing is written yet.
    [[nodiscard]] std::string segment(std::uint64_t number) const;
    [[nodiscard]] const WalOptions& options() const { return options_; }

  private:
    void put(std::string_view bytes, std::size_t remaining_after);
    void page_header(std::size_t remaining);
    std::string encode(std::uint8_t rmid, std::uint8_t info, std::uint32_t xid, std::string_view main_data) const;
    std::string twophase(std::uint32_t xid, WallTime time, bool commit) const;

    WalOptions options_;
    TimelineId timeline_;
    Lsn begin_;
    Lsn previous_;
    bool overwrite_ = false;
    std::string bytes_;
};

}  // namespace coffer::test
