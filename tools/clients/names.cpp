#include "tools/clients/names.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace coffer::clients {
namespace {

constexpr std::uint64_t log_size = 0x100000000;
constexpr std::uint64_t smallest_segment = std::uint64_t{1} << 20, largest_segment = std::uint64_t{1} << 30;

bool is_hex(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
}

std::uint64_t hex(std::string_view text) noexcept {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
}

bool is_segment_size(std::uint64_t size) noexcept {
    return std::has_single_bit(size) && size >= smallest_segment && size <= largest_segment;
}

template <typename Number>
Number number_at(std::span<const std::byte> bytes, std::size_t at) noexcept {
    Number value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

}  // namespace

bool is_segment(std::string_view name) noexcept {
    return name.size() == 24 && is_hex(name);
}

bool is_wal_name(std::string_view name) noexcept {
    if (is_segment(name)) return true;
    if (name.size() == 16) return name.ends_with(".history") && is_hex(name.substr(0, 8));
    return name.size() == 40 && name.ends_with(".backup") && is_hex(name.substr(0, 24)) && name[24] == '.' &&
           is_hex(name.substr(25, 8));
}

std::optional<std::string> next_name(std::string_view name, std::uint64_t segment_size) {
    if (!is_segment(name) || !is_segment_size(segment_size)) return std::nullopt;
    const std::uint64_t per_log = log_size / segment_size;
    std::uint64_t log = hex(name.substr(8, 8)), within = hex(name.substr(16, 8)) + 1;
    if (within > per_log) return std::nullopt;
    if (within == per_log) {
        within = 0;
        ++log;
    }
    if (log > 0xFFFFFFFF) return std::nullopt;
    char text[25];
    std::snprintf(text, sizeof text, "%.8s%08X%08X", name.data(), static_cast<unsigned>(log),
                  static_cast<unsigned>(within));
    return text;
}

// Magic (2), flags (2), timeline (4), address of the page (8), 8 more; then system identifier (8), segment size (4).
// The byte order is that of the server, which is this host.
bool is_whole_segment(std::string_view name, std::span<const std::byte> front, std::uint64_t size) noexcept {
    if (!is_segment(name) || !is_segment_size(size) || front.size() < segment_front) return false;
    const auto address = hex(name.substr(8, 8)) * log_size + hex(name.substr(16, 8)) * size;
    return number_at<std::uint64_t>(front, 8) == address && number_at<std::uint32_t>(front, 32) == size;
}

}  // namespace coffer::clients
