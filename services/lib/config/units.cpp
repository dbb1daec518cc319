#include "lib/config/units.h"

#include <charconv>
#include <limits>

namespace coffer::config {
namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";

struct IntervalUnit {
    std::string_view name;
    std::chrono::seconds length;
};
constexpr IntervalUnit interval_units[] = {{"hour", std::chrono::hours(1)},
                                           {"day", std::chrono::days(1)},
                                           {"week", std::chrono::weeks(1)},
                                           {"month", std::chrono::days(31)}};

struct SizeUnit {
    std::string_view name;
    std::uint64_t factor;
};
constexpr SizeUnit size_units[] = {
    {"", 1},           {"k", 1000},        {"ki", 1ULL << 10},   {"m", 1000000},    {"mi", 1ULL << 20},
    {"g", 1000000000}, {"gi", 1ULL << 30}, {"t", 1000000000000}, {"ti", 1ULL << 40}};

// Splits "12 days" into 12 and "days" (lower case); nullopt when it does not begin with a number.
std::optional<std::pair<std::uint64_t, std::string>> split_number(std::string_view text) {
    text = trim(text);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    return std::pair(number, to_lower(trim(text.substr(static_cast<std::size_t>(end - text.data())))));
}

}  // namespace

std::string_view trim(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

std::optional<std::chrono::seconds> parse_interval(std::string_view text) {
    const auto parts = split_number(text);
    if (!parts || parts->first == 0 || parts->first > 100000) return std::nullopt;
    for (const IntervalUnit& unit : interval_units) {
        if (parts->second == unit.name || parts->second == std::string(unit.name) + "s") {
            return unit.length * static_cast<std::int64_t>(parts->first);
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto parts = split_number(text);
    if (!parts) return std::nullopt;
    for (const SizeUnit& unit : size_units) {
        if (parts->second != unit.name) continue;
        if (parts->first > std::numeric_limits<std::uint64_t>::max() / unit.factor) return std::nullopt;
        return parts->first * unit.factor;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
    const auto parts = split_number(text);
    if (!parts || !parts->second.empty()) return parse_size(text);
    if (parts->first > std::numeric_limits<std::uint64_t>::max() / 1024) return std::nullopt;
    return parts->first * 1024;
}

std::optional<bool> parse_boolean(std::string_view text) {
    const std::string lower = to_lower(trim(text));
    for (const char* yes : {"on", "true", "yes", "t", "y", "1"}) {
        if (lower == yes) return true;
    }
    for (const char* no : {"off", "false", "no", "f", "n", "0"}) {
        if (lower == no) return false;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t lowest, std::uint64_t highest) {
    text = trim(text);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (number < lowest || number > highest) return std::nullopt;
    return number;
}

}  // namespace coffer::config
