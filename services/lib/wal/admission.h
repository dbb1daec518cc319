#pragma once
// May this file enter the archive? What arrives in incoming/ and streaming/ was written by others: names, sizes and
// bytes are judged here, by pure functions, before anything is stored.
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/files.h"
#include "lib/wal/segment_check.h"
#include "lib/wal/segment_name.h"

namespace coffer::wal {

// What is known of the server that the archive belongs to; what is not known is not compared.
struct KnownSystem {
    std::optional<std::uint64_t> system_identifier;
    std::uint32_t major_version = 0;
    std::optional<SegmentSize> segment_size;
};

// Files over this are no WAL (a segment has at most 1 GB; the rest is for a codec's overhead).
constexpr std::uint64_t largest_wal_file = (1ULL << 30) + (16ULL << 20);

// The reason why the file must not be archived under this name; nullopt when it may. plain: its decompressed bytes.
std::optional<std::string> refusal_of(std::string_view name, ByteSpan plain, const KnownSystem& known);

}  // namespace coffer::wal
