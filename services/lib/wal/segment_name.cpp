#include "lib/wal/segment_name.h"

#include <bit>
#include <charconv>

#include <fmt/format.h>

namespace coffer::wal {
namespace {

constexpr std::size_t segment_digits = 24;
constexpr std::uint64_t smallest_size = 1ULL << 20;
constexpr std::uint64_t largest_size = 1ULL << 30;

bool is_upper_hex(std::string_view text, std::size_t digits) noexcept {
    return text.size() == digits && text.find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
}

std::uint32_t hex_value(std::string_view digits) noexcept {
    std::uint32_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return value;
}

// "<24 digits>.<8 digits>.backup"
bool is_backup_label(std::string_view name) noexcept {
    return name.size() == segment_digits + 1 + 8 + 7 && is_upper_hex(name.substr(0, segment_digits), segment_digits) &&
           name[segment_digits] == '.' && is_upper_hex(name.substr(segment_digits + 1, 8), 8) &&
           name.ends_with(".backup");
}

}  // namespace

std::optional<SegmentSize> SegmentSize::from_bytes(std::uint64_t bytes) noexcept {
    if (!std::has_single_bit(bytes) || bytes < smallest_size || bytes > largest_size) return std::nullopt;
    return SegmentSize(bytes);
}

std::string Segment::name(SegmentSize size) const {
    return fmt::format("{:08X}{:08X}{:08X}", timeline, number / size.per_log(), number % size.per_log());
}

std::optional<Segment> Segment::parse(std::string_view name, SegmentSize size) noexcept {
    if (!is_upper_hex(name, segment_digits)) return std::nullopt;
    const TimelineId timeline = hex_value(name.substr(0, 8));
    const std::uint64_t log = hex_value(name.substr(8, 8));
    const std::uint64_t within_log = hex_value(name.substr(16, 8));
    if (timeline == 0 || within_log >= size.per_log()) return std::nullopt;
    return Segment{timeline, log * size.per_log() + within_log};
}

Segment Segment::containing(TimelineId timeline, Lsn lsn, SegmentSize size) noexcept {
    return {timeline, lsn.value / size.bytes()};
}

FileKind kind_of(std::string_view name) noexcept {
    if (name.starts_with('.') || name.ends_with(".tmp")) return FileKind::temporary;
    if (is_upper_hex(name, segment_digits)) return FileKind::segment;
    if (name.size() == segment_digits + 8 && name.ends_with(".partial") &&
        is_upper_hex(name.substr(0, segment_digits), segment_digits)) {
        return FileKind::partial;
    }
    if (name.size() == 16 && name.ends_with(".history") && is_upper_hex(name.substr(0, 8), 8)) return FileKind::history;
    return is_backup_label(name) ? FileKind::backup_label : FileKind::unknown;
}

std::string history_name(TimelineId timeline) {
    return fmt::format("{:08X}.history", timeline);
}

std::string archive_folder_of(std::string_view name) {
    return kind_of(name) == FileKind::history ? std::string() : std::string(name.substr(0, 16));
}

TimelineId timeline_of(std::string_view name) noexcept {
    TimelineId timeline = 0;
    if (name.size() < 8) return 0;
    const auto end = std::from_chars(name.data(), name.data() + 8, timeline, 16);
    return end.ptr == name.data() + 8 ? timeline : 0;
}

}  // namespace coffer::wal
