#pragma once
// Names of files in the write-ahead log, and the arithmetic between a name and an LSN.
//
// Format: PostgreSQL src/include/access/xlog_internal.h (13 to 18): 8 hex digits timeline, 8 "log", 8 "segment within
// the log"; a log is 4 GB whatever the segment size. Hex digits are upper case.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/lsn.h"

namespace coffer::wal {

// A power of two from 1 MB to 1 GB (initdb --wal-segsize).
class SegmentSize {
  public:
    constexpr SegmentSize() noexcept = default;  // 16 MB
    static std::optional<SegmentSize> from_bytes(std::uint64_t bytes) noexcept;
    [[nodiscard]] constexpr std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] constexpr std::uint64_t per_log() const noexcept { return 0x100000000ULL / bytes_; }
    constexpr bool operator==(const SegmentSize&) const = default;

  private:
    constexpr explicit SegmentSize(std::uint64_t bytes) noexcept : bytes_(bytes) {}
    std::uint64_t bytes_ = 16ULL << 20;
};

struct Segment {
    TimelineId timeline = 0;
    std::uint64_t number = 0;  // LSN / segment size

    constexpr auto operator<=>(const Segment&) const = default;
    [[nodiscard]] std::string name(SegmentSize size) const;
    [[nodiscard]] Lsn begin(SegmentSize size) const noexcept { return Lsn{number * size.bytes()}; }
    [[nodiscard]] Lsn end(SegmentSize size) const noexcept { return Lsn{(number + 1) * size.bytes()}; }
    [[nodiscard]] Segment next() const noexcept { return {timeline, number + 1}; }
    // nullopt unless it is exactly a segment's name that can exist with this size.
    static std::optional<Segment> parse(std::string_view name, SegmentSize size) noexcept;
    // The segment that holds the byte at lsn.
    static Segment containing(TimelineId timeline, Lsn lsn, SegmentSize size) noexcept;
};

enum class FileKind { segment, partial, history, backup_label, temporary, unknown };
// By the name alone: "…", "….partial", "TTTTTTTT.history", "….OOOOOOOO.backup", "….tmp" or leading dot, anything else.
FileKind kind_of(std::string_view name) noexcept;
// By the eight digits that every name of WAL begins with; 0 where they are none.
TimelineId timeline_of(std::string_view name) noexcept;
// "00000002.history"
std::string history_name(TimelineId timeline);
// The folder below wals/ where Barman keeps a segment or backup label: the first 16 digits; "" for history files.
std::string archive_folder_of(std::string_view name);

}  // namespace coffer::wal
