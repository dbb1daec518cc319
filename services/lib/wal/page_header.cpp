#include "lib/wal/page_header.h"

#include <fmt/format.h>

#include "lib/wal/little_endian.h"

namespace coffer::wal {
namespace {

struct Magic {
    std::uint16_t magic;
    std::uint32_t major_version;
};

constexpr Magic magics[] = {{0xD106, 13}, {0xD10D, 14}, {0xD110, 15}, {0xD113, 16}, {0xD116, 17}, {0xD118, 18}};

std::string fault_of_long_header(const PageHeader& header, const Expected& expected) {
    if (expected.system_identifier && header.system_identifier != *expected.system_identifier) {
        return fmt::format("system identifier {} instead of {}", header.system_identifier, *expected.system_identifier);
    }
    if (header.segment_size != expected.size.bytes()) {
        return fmt::format("segment size {} instead of {}", header.segment_size, expected.size.bytes());
    }
    if (header.block_size != page_size) {
        return fmt::format("block size {} instead of {}", header.block_size, page_size);
    }
    return {};
}

std::string fault_of_magic(const PageHeader& header, const Expected& expected) {
    const std::uint32_t version = major_version_of(header.magic);
    if (version == 0) return fmt::format("unknown magic {:04X}", header.magic);
    if (expected.major_version == 0 || version == expected.major_version) return {};
    return fmt::format("magic {:04X} of version {} instead of version {}", header.magic, version,
                       expected.major_version);
}

}  // namespace

std::optional<PageHeader> read_page_header(ByteSpan page) noexcept {
    if (page.size() < short_header_size) return std::nullopt;
    PageHeader header;
    header.magic = load16(page, 0);
    header.flags = load16(page, 2);
    header.timeline = load32(page, 4);
    header.address = Lsn{load64(page, 8)};
    header.remaining = load32(page, 16);
    if (header.has(PageHeader::long_header)) {
        if (page.size() < long_header_size) return std::nullopt;
        header.system_identifier = load64(page, 24);
        header.segment_size = load32(page, 32);
        header.block_size = load32(page, 36);
    }
    return header;
}

std::uint32_t major_version_of(std::uint16_t magic) noexcept {
    for (const Magic& row : magics) {
        if (row.magic == magic) return row.major_version;
    }
    return 0;
}

std::string fault_of(const PageHeader& header, const Expected& expected, Lsn address, TimelineId previous_timeline) {
    if (std::string fault = fault_of_magic(header, expected); !fault.empty()) return fault;
    if (header.address != address) {
        return fmt::format("address {} instead of {}", header.address.to_string(), address.to_string());
    }
    const bool first_of_segment = address.value % expected.size.bytes() == 0;
    if ((header.flags & ~PageHeader::all_flags) != 0 || header.has(PageHeader::long_header) != first_of_segment) {
        return fmt::format("impossible flags {:04X}", header.flags);
    }
    if (header.timeline > expected.segment.timeline) {
        return fmt::format("timeline {} instead of {}", header.timeline, expected.segment.timeline);
    }
    if (header.timeline < previous_timeline || header.timeline == 0) {
        return fmt::format("timeline {} behind a page of timeline {}", header.timeline, previous_timeline);
    }
    return first_of_segment ? fault_of_long_header(header, expected) : std::string();
}

}  // namespace coffer::wal
