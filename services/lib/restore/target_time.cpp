#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "lib/base/error.h"
#include "lib/restore/target.h"

namespace coffer::restore {
namespace {

using namespace std::chrono;

[[noreturn]] void refuse(std::string_view text, std::string what) {
    throw Error(ErrorCode::invalid_argument, std::move(what), std::string(text),
                "write it as 2026-11-23 21:00:00.123456+01:00; without an offset this machine's zone is taken");
}

class Reader {
  public:
    explicit Reader(std::string_view text) : whole_(text), rest_(text) {}

    // Exactly count digits.
    int number(std::size_t count) {
        if (rest_.size() < count) refuse(whole_, "this time cannot be read");
        int value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            if (rest_[i] < '0' || rest_[i] > '9') refuse(whole_, "this time cannot be read");
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(count);
        return value;
    }
    bool take(char wanted) {
        if (rest_.empty() || rest_.front() != wanted) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void skip_spaces() {
        while (take(' ')) {
        }
    }
    [[nodiscard]] bool at_digit() const { return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    [[nodiscard]] std::string_view whole() const { return whole_; }

  private:
    std::string_view whole_;
    std::string_view rest_;
};

struct Fields {
    year_month_day date;
    int hour = 0, minute = 0, second = 0;
    microseconds fraction{0};
};

microseconds read_fraction(Reader& reader) {
    int value = 0;
    int digits = 0;
    for (; reader.at_digit(); ++digits) {
        const int digit = reader.number(1);
        if (digits < 6) value = value * 10 + digit;
    }
    if (digits == 0) refuse(reader.whole(), "this time cannot be read");
    for (; digits < 6; ++digits) value *= 10;
    return microseconds(value);
}

Fields read_fields(Reader& reader) {
    Fields fields;
    const int y = reader.number(4);
    const bool dashes = reader.take('-');
    const int m = reader.number(2);
    if (dashes && !reader.take('-')) refuse(reader.whole(), "this time cannot be read");
    const int d = reader.number(2);
    fields.date = year(y) / month(static_cast<unsigned>(m)) / day(static_cast<unsigned>(d));
    if (!fields.date.ok()) refuse(reader.whole(), "there is no such day");
    if (!reader.take('T')) reader.skip_spaces();
    if (!reader.at_digit()) return fields;
    fields.hour = reader.number(2);
    const bool colons = reader.take(':');
    fields.minute = reader.number(2);
    if (colons ? reader.take(':') : reader.at_digit()) {
        fields.second = reader.number(2);
        if (reader.take('.') || reader.take(',')) fields.fraction = read_fraction(reader);
    }
    if (fields.hour > 23 || fields.minute > 59 || fields.second > 59)
        refuse(reader.whole(), "there is no such time of day");
    return fields;
}

// The offset from UTC; nullopt when nothing is left to read.
std::optional<seconds> read_zone(Reader& reader) {
    reader.skip_spaces();
    if (reader.rest().empty()) return std::nullopt;
    const std::string_view rest = reader.rest();
    if (rest == "Z" || rest == "z" || rest == "UTC" || rest == "GMT") return seconds(0);
    int sign = 0;
    if (reader.take('+')) sign = 1;
    if (sign == 0 && reader.take('-')) sign = -1;
    if (sign == 0) refuse(reader.whole(), "this zone is not known (only UTC, GMT, Z and numeric offsets are)");
    const int hour = reader.number(2);
    reader.take(':');
    const int minute = reader.at_digit() ? reader.number(2) : 0;
    if (!reader.rest().empty() || hour > 15 || minute > 59) refuse(reader.whole(), "this offset cannot be read");
    return seconds(sign * (hour * 3600 + minute * 60));
}

std::optional<std::time_t> local_time(const Fields& fields, int daylight) {
    std::tm broken{};
    broken.tm_year = static_cast<int>(fields.date.year()) - 1900;
    broken.tm_mon = static_cast<int>(static_cast<unsigned>(fields.date.month())) - 1;
    broken.tm_mday = static_cast<int>(static_cast<unsigned>(fields.date.day()));
    broken.tm_hour = fields.hour;
    broken.tm_min = fields.minute;
    broken.tm_sec = fields.second;
    broken.tm_isdst = daylight;
    const std::time_t made = ::mktime(&broken);
    // mktime shifts what does not exist (or not with this daylight saving) to what does.
    std::tm back{};
    if (made == -1 || ::localtime_r(&made, &back) == nullptr) return std::nullopt;
    if (back.tm_hour != fields.hour || back.tm_min != fields.minute) return std::nullopt;
    return made;
}

}  // namespace

ParsedTime parse_time(std::string_view text) {
    Reader reader(text);
    reader.skip_spaces();
    const Fields fields = read_fields(reader);
    const std::optional<seconds> offset = read_zone(reader);
    if (offset) {
        const auto local = sys_days(fields.date) + hours(fields.hour) + minutes(fields.minute) + seconds(fields.second);
        return {local - *offset + fields.fraction, false, false};
    }
    const auto standard = local_time(fields, 0);
    const auto summer = local_time(fields, 1);
    if (!standard && !summer) refuse(text, "the clocks of this machine never showed this time (they were put forward)");
    ParsedTime parsed;
    parsed.naive = true;
    parsed.ambiguous = standard && summer && *standard != *summer;
    const std::time_t chosen = std::max(standard.value_or(0), summer.value_or(0));
    parsed.time = WallTime(seconds(chosen)) + fields.fraction;
    return parsed;
}

std::string format_utc(WallTime time) {
    const auto day_start = floor<days>(time);
    const year_month_day date(day_start);
    const hh_mm_ss clock(time - day_start);
    std::string text = fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                   clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    if (clock.subseconds().count() != 0) text += fmt::format(".{:06}", clock.subseconds().count());
    return text + "+00";
}

}  // namespace coffer::restore
