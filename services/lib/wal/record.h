#pragma once
// One WAL record: its header, and where its main data lies.
//
// Format: PostgreSQL src/include/access/xlogrecord.h (13 to 18). A record begins at a multiple of 8 with a header of 24
// bytes (total length, transaction, previous record, info, resource manager, CRC-32C over the rest and the header up to
// the CRC); then come headers of blocks and data, block data, and main data last.
#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "lib/base/files.h"
#include "lib/base/lsn.h"

namespace coffer::wal {

inline constexpr std::size_t record_header_size = 24;
inline constexpr std::uint32_t largest_record = 1U << 30;  // PostgreSQL allocates at most this much for one

struct RecordHeader {
    std::uint32_t total_length = 0;
    std::uint32_t xid = 0;
    Lsn previous;
    std::uint8_t info = 0;
    std::uint8_t rmid = 0;  // resource manager
    std::uint32_t crc = 0;
};
using RawRecordHeader = std::array<std::byte, record_header_size>;
RecordHeader read_record_header(const RawRecordHeader& raw) noexcept;

constexpr std::uint64_t align8(std::uint64_t value) noexcept {
    return (value + 7) & ~std::uint64_t{7};
}

inline constexpr std::uint8_t rm_xlog = 0;
inline constexpr std::uint8_t rm_xact = 1;
inline constexpr std::uint8_t rm_database = 4;
inline constexpr std::uint8_t rm_tablespace = 5;
inline constexpr std::uint8_t rm_map = 7;
inline constexpr std::uint8_t rm_heap = 10;
bool is_switch(const RecordHeader& header) noexcept;

// A page that a record is about.
struct BlockReference {
    std::uint32_t tablespace = 0;
    std::uint32_t database = 0;
    std::uint32_t relation = 0;  // the number in its file's name
    std::uint8_t fork = 0;       // 0 main, 1 free space map, 2 visibility map, 3 init
    std::uint32_t block = 0;
    bool whole = false;  // replay makes all of it anew, from an image or from nothing
};

// Valid only while the handler that gets it runs: payload points into the page, or into the reader's buffer.
struct RecordView {
    Lsn start;
    Lsn end;  // aligned, where the next one would begin (or the header of the next page)
    std::uint32_t xid = 0;
    std::uint8_t rmid = 0;
    std::uint8_t info = 0;
    std::uint32_t major_version = 0;
    ByteSpan payload;  // all behind the record's header; empty when the reader was told not to keep this kind

    // The main data; nullopt when the block headers make no sense.
    [[nodiscard]] std::optional<ByteSpan> main_data() const noexcept;
    // Every page that it is about. False when the block headers make no sense.
    bool for_each_block(const std::function<void(const BlockReference&)>& handle) const;
};

}  // namespace coffer::wal
