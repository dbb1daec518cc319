#pragma once
// CRC-32C of two texts one behind the other, from the checksums of each.
//
// So a record whose parts lie in two segments is proven without reading either again. Mathematics: polynomials over
// GF(2) modulo the Castagnoli polynomial; a byte that follows is a multiplication by x^8. Thread-safe.
#include <cstdint>

namespace coffer {

// second_size in bytes.
[[nodiscard]] std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second,
                                          std::uint64_t second_size) noexcept;

}  // namespace coffer
