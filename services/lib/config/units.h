#pragma once
// Values as Barman writes them in its configuration, with their units. Pure functions; nullopt for anything else.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer::config {

// "7 DAYS", "1 WEEK", "12 hours", "2 months"; a month is 31 days, as Barman counts it. At least one of the unit.
std::optional<std::chrono::seconds> parse_interval(std::string_view text);
// "100", "100k", "3Mi", "1 G": k M G T are powers of 1000, Ki Mi Gi Ti powers of 1024. Bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);
// Bytes per second: a plain number is kilobytes (1024), as bandwidth_limit has it; else as parse_size. 0: no limit.
std::optional<std::uint64_t> parse_rate(std::string_view text);
// on/off, true/false, yes/no, t/f, y/n, 1/0 in any case.
std::optional<bool> parse_boolean(std::string_view text);
// A decimal number within the limits, nothing around it.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t lowest, std::uint64_t highest);

// Without blanks at both ends.
std::string_view trim(std::string_view text) noexcept;
std::string to_lower(std::string_view text);

}  // namespace coffer::config
