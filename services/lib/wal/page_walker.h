#pragma once
// Walks WAL page by page: checks page headers, puts records together across pages, checks their CRC.
//
// The one place that knows how records lie in pages; check_segment() and RecordReader are built on it. Bytes are pushed
// in the order of their position; memory is one record at most (and only of the kinds that are kept). Foreign bytes:
// lengths are only ever compared with what is there. One thread at a time.
#include <bitset>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/wal/page_header.h"
#include "lib/wal/record.h"

namespace coffer::wal {

// Called for each whole, proven record; false ends the walk.
using RecordHandler = std::function<bool(const RecordView&)>;
using RecordKinds = std::bitset<256>;  // by resource manager

// What of a record lies at the head of the first page, its beginning being elsewhere.
struct RecordRest {
    std::uint64_t size = 0;
    std::uint32_t crc32c = 0;
    bool ends = false;  // it is all that was missing
};

class PageWalker {
  public:
    // Why the walk ended.
    enum class Stop {
        none,        // it goes on
        zeros,       // where a page or record should begin there are only zeros
        short_data,  // the bytes end within a page
        damage,      // something that PostgreSQL would not have written there
        handler,     // the handler wanted no more
    };

    // keep: the resource managers whose records the handler gets with their payload.
    PageWalker(RecordHandler handler, const RecordKinds& keep) : handler_(std::move(handler)), keep_(keep) {}

    // The next page, at address; the last one of a file may be short. Nothing happens after a stop.
    void page(ByteSpan bytes, const Expected& expected, Lsn address);

    [[nodiscard]] Stop stop() const noexcept { return stop_; }
    // Where and why (also for zeros and short_data).
    [[nodiscard]] const Damage& stopped_at() const noexcept { return stopped_at_; }
    // End of the last whole record, or of the rest of a record at the head of the first page; 0 for none.
    [[nodiscard]] Lsn valid_end() const noexcept { return valid_end_; }
    // Of the last page that was looked at; 0 for none.
    [[nodiscard]] TimelineId timeline() const noexcept { return timeline_; }
    // A record is begun and goes on in the next page.
    [[nodiscard]] bool within_record() const noexcept { return remaining_ != 0; }
    // What was read of the header of the record that is begun; empty when its beginning was never seen.
    [[nodiscard]] ByteSpan open_header() const noexcept {
        return within_record() && !tail_only_ ? ByteSpan(raw_header_).first(header_bytes_) : ByteSpan();
    }
    // The same record's checksum as far as it was read (that of the header not), and how many bytes of it are missing.
    [[nodiscard]] std::uint32_t open_crc() const noexcept { return crc_; }
    [[nodiscard]] std::uint32_t open_remaining() const noexcept {
        return within_record() && !tail_only_ ? remaining_ : 0;
    }
    // Of the record whose beginning was never seen; size 0 when there was none.
    [[nodiscard]] const RecordRest& rest() const noexcept { return rest_; }
    // The last record was a switch: the rest of its segment is padding, which nobody reads. PostgreSQL clears it, but a
    // server that crashed between the switch record and that leaves what the recycled file held before.
    [[nodiscard]] bool in_padding() const noexcept { return switched_; }
    // To be called where a new segment begins.
    void end_padding() noexcept { switched_ = false; }

  private:
    bool enter(const PageHeader& header, Lsn address);
    bool begin_record(ByteSpan bytes, std::size_t offset, Lsn at);
    void take(ByteSpan fragment);
    bool header_is_plausible();
    bool finish_record(ByteSpan in_place, Lsn end);
    bool stop_here(Stop why, Lsn at, std::string what);

    RecordHandler handler_;
    RecordKinds keep_;
    Stop stop_ = Stop::none;
    Damage stopped_at_;
    Lsn valid_end_;
    TimelineId timeline_ = 0;  // of the last page
    std::uint32_t major_version_ = 0;
    bool first_page_ = true;
    bool switched_ = false;
    std::optional<Lsn> last_start_;  // of the last whole record

    // The record under way.
    std::uint32_t remaining_ = 0;
    bool tail_only_ = false;  // its beginning was never seen: followed by length
    Lsn start_;
    RawRecordHeader raw_header_{};
    std::size_t header_bytes_ = 0;
    RecordHeader header_;
    std::uint32_t crc_ = 0;
    std::vector<std::byte> kept_;
    RecordRest rest_;
};

}  // namespace coffer::wal
