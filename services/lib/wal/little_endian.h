#pragma once
// Numbers as PostgreSQL writes them on the machines it is used on: little-endian, of any alignment. The caller has
// checked that they lie within the bytes.
#include <cstdint>
#include <cstring>

#include "lib/base/files.h"

namespace coffer::wal {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "WAL is read in the byte order of the machine that wrote it");

template <typename Number>
Number load_number(ByteSpan bytes, std::size_t offset) noexcept {
    Number number;
    std::memcpy(&number, bytes.data() + offset, sizeof number);
    return number;
}

inline std::uint8_t load8(ByteSpan bytes, std::size_t offset) noexcept {
    return load_number<std::uint8_t>(bytes, offset);
}
inline std::uint16_t load16(ByteSpan bytes, std::size_t offset) noexcept {
    return load_number<std::uint16_t>(bytes, offset);
}
inline std::uint32_t load32(ByteSpan bytes, std::size_t offset) noexcept {
    return load_number<std::uint32_t>(bytes, offset);
}
inline std::uint64_t load64(ByteSpan bytes, std::size_t offset) noexcept {
    return load_number<std::uint64_t>(bytes, offset);
}

}  // namespace coffer::wal
