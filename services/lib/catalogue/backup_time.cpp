#include <charconv>
#include <ctime>

#include <fmt/format.h>

#include "lib/catalogue/backup_info.h"

namespace coffer::catalogue {
namespace {

// Takes exactly count digits from the front of text.
bool take_digits(std::string_view& text, std::size_t count, int& out) {
    if (text.size() < count) return false;
    const auto got = std::from_chars(text.data(), text.data() + count, out);
    if (got.ec != std::errc() || got.ptr != text.data() + count || text.front() == '-') return false;
    text.remove_prefix(count);
    return true;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

// Microseconds from ".123456" (any number of digits, the first six count).
bool take_fraction(std::string_view& text, int& microseconds) {
    microseconds = 0;
    if (!take(text, '.')) return true;
    const std::size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
    if (length == 0) return false;
    for (std::size_t i = 0; i < 6; ++i) microseconds = microseconds * 10 + (i < length ? text[i] - '0' : 0);
    text.remove_prefix(length);
    return true;
}

// Seconds east of UTC from "Z", "+01:00", "+0100", "+01" or "+01:00:00"; nullopt in out when there is none.
bool take_offset(std::string_view& text, std::optional<int>& out) {
    out.reset();
    if (text.empty()) return true;
    if (take(text, 'Z')) {
        out = 0;
        return text.empty();
    }
    const int sign = take(text, '-') ? -1 : take(text, '+') ? 1 : 0;
    int hours = 0, minutes = 0, seconds = 0;
    if (sign == 0 || !take_digits(text, 2, hours)) return false;
    if (!text.empty()) {
        take(text, ':');
        if (!take_digits(text, 2, minutes)) return false;
    }
    if (take(text, ':') && !take_digits(text, 2, seconds)) return false;
    out = sign * (hours * 3600 + minutes * 60 + seconds);
    return text.empty() && hours < 24 && minutes < 60 && seconds < 60;
}

std::optional<std::chrono::sys_seconds> local_time(const std::tm& fields) {
    std::tm copy = fields;
    copy.tm_isdst = -1;
    const std::time_t seconds = std::mktime(&copy);
    if (seconds == -1) return std::nullopt;
    return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

}  // namespace

std::string format_time(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::string text = fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                   clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    if (clock.subseconds().count() != 0) text += fmt::format(".{:06}", clock.subseconds().count());
    return text + "+00:00";
}

std::optional<WallTime> parse_time(std::string_view text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, microseconds = 0;
    std::optional<int> offset;
    const bool read = take_digits(text, 4, year) && take(text, '-') && take_digits(text, 2, month) && take(text, '-') &&
                      take_digits(text, 2, day) && (take(text, ' ') || take(text, 'T')) && take_digits(text, 2, hour) &&
                      take(text, ':') && take_digits(text, 2, minute) && take(text, ':') &&
                      take_digits(text, 2, second) && take_fraction(text, microseconds) && take_offset(text, offset);
    const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day)));
    if (!read || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    std::chrono::sys_seconds seconds = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                                       std::chrono::minutes(minute) + std::chrono::seconds(second);
    if (offset) {
        seconds -= std::chrono::seconds(*offset);
    } else {
        std::tm fields{};
        fields.tm_year = year - 1900;
        fields.tm_mon = month - 1;
        fields.tm_mday = day;
        fields.tm_hour = hour;
        fields.tm_min = minute;
        fields.tm_sec = second;
        const auto local = local_time(fields);
        if (!local) return std::nullopt;
        seconds = *local;
    }
    return seconds + std::chrono::microseconds(microseconds);
}

}  // namespace coffer::catalogue
