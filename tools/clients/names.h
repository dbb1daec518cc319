#pragma once
// What a client has to know of names of WAL files: which is a segment, and which follows it.
//
// Format: PostgreSQL src/include/access/xlog_internal.h (13 to 18), as lib/wal/segment_name.h, of which this is the
// part that a static program without formatting libraries needs.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace coffer::clients {

// 24 digits in upper case: a segment, of whatever size.
bool is_segment(std::string_view name) noexcept;
// Anything that a restore_command is asked for: segments, timeline histories, backup labels.
bool is_wal_name(std::string_view name) noexcept;
// The next one on its timeline. nullopt for what is no segment of this size.
std::optional<std::string> next_name(std::string_view name, std::uint64_t segment_size);

constexpr std::size_t segment_front = 40;  // the long header of its first page
// Is this the beginning of the segment of this name, and size its whole size?
bool is_whole_segment(std::string_view name, std::span<const std::byte> front, std::uint64_t size) noexcept;

}  // namespace coffer::clients
