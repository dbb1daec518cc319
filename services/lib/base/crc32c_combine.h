#pragma once
// CRC-32C of a text from the checksums of its parts, or from what it was before and what has changed.
//
// So a record whose parts lie in two segments is proven without reading either again, and the checksum of a file of 1
// GB in which a page was replaced costs no reading of it. The checksum is linear: where a part of a text, with so many
// bytes behind it, becomes another one of the same size, crc becomes crc32c_joined(crc32c(old) ^ crc32c(now), crc,
// behind). Mathematics: polynomials over GF(2) modulo the Castagnoli polynomial; a byte that follows is a
// multiplication by x^8. Thread-safe.
#include <cstdint>

namespace coffer {

// second_size in bytes.
[[nodiscard]] std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second,
                                          std::uint64_t second_size) noexcept;

// Of so many zero bytes.
[[nodiscard]] std::uint32_t crc32c_of_zeros(std::uint64_t size) noexcept;

}  // namespace coffer
