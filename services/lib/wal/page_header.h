#pragma once
// The header of a WAL page, as it lies on disk, and what is wrong with one.
//
// Format: PostgreSQL src/include/access/xlog_internal.h (13 to 18), little-endian. Each page of 8 kB begins with a
// header of 24 bytes; the first page of a segment with one of 40 that also tells the system identifier and the sizes.
#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/files.h"
#include "lib/wal/segment_check.h"

namespace coffer::wal {

inline constexpr std::size_t page_size = 8192;
inline constexpr std::size_t short_header_size = 24;
inline constexpr std::size_t long_header_size = 40;

struct PageHeader {
    // Bits of flags.
    static constexpr std::uint16_t continues_record = 1;   // the page begins with the rest of a record
    static constexpr std::uint16_t long_header = 2;        // first page of a segment
    static constexpr std::uint16_t overwrites_record = 8;  // the record begun before was given up by a crash
    static constexpr std::uint16_t all_flags = 15;

    std::uint16_t magic = 0;
    std::uint16_t flags = 0;
    TimelineId timeline = 0;
    Lsn address;
    std::uint32_t remaining = 0;  // bytes of the continued record that are still to come, over all pages
    // Of the long header only.
    std::uint64_t system_identifier = 0;
    std::uint32_t segment_size = 0;
    std::uint32_t block_size = 0;

    [[nodiscard]] bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }
    [[nodiscard]] std::size_t size() const noexcept { return has(long_header) ? long_header_size : short_header_size; }
};

// nullopt when the bytes are too few for the header that they announce.
std::optional<PageHeader> read_page_header(ByteSpan page) noexcept;

// 13 .. 18, 0 for a magic that none of these writes.
std::uint32_t major_version_of(std::uint16_t magic) noexcept;

// What is wrong with the header of the page at address; empty when nothing is. previous_timeline: of the page before, 0
// for none; a segment of a new timeline begins with pages of the old one, so timelines may only rise, up to the
// segment's own.
std::string fault_of(const PageHeader& header, const Expected& expected, Lsn address, TimelineId previous_timeline);

}  // namespace coffer::wal
