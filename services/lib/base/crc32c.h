#pragma once
// CRC-32C (Castagnoli), the checksum of WAL records, backup manifests and pg_control.
//
// Incremental as zlib's crc32 is: crc32c(b, crc32c(a)) == crc32c(a + b). Uses the processor's instruction where there
// is one (found at run time), three streams at once on long input; elsewhere tables, eight bytes per step. Thread-safe.
#include <cstdint>

#include "lib/base/files.h"

namespace coffer {

[[nodiscard]] std::uint32_t crc32c(ByteSpan data, std::uint32_t seed = 0) noexcept;

// The same by tables only, for processors without the instruction; reachable for tests.
[[nodiscard]] std::uint32_t crc32c_by_tables(ByteSpan data, std::uint32_t seed = 0) noexcept;

}  // namespace coffer
