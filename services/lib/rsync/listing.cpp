#include "lib/rsync/listing.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "lib/base/error.h"

namespace coffer::rsync {
namespace {

[[noreturn]] void refuse_line(std::string_view line) {
    throw Error(ErrorCode::protocol, "rsync printed a line that is none of a list of files",
                std::string(line.substr(0, 200)),
                "see that nothing is written at login by the shell of the other host's user");
}

std::string_view next_word(std::string_view& rest, std::string_view line) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::size_t end = rest.find(' ');
    if (end == rest.npos || end == 0) refuse_line(line);
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end);
    return word;
}

template <typename Number>
Number number_of(std::string_view text, std::string_view line) {
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) refuse_line(line);
    return number;
}

mode_t mode_of(std::string_view letters, std::string_view line) {
    constexpr std::string_view set = "rwxrwxrwx";
    mode_t mode = 0;
    for (std::size_t i = 0; i < set.size(); ++i) {
        const char c = letters[i];
        const bool special = i % 3 == 2 && (c == 's' || c == 'S' || c == 't' || c == 'T');
        if (c != set[i] && c != '-' && !special) refuse_line(line);
        mode = (mode << 1) | (c == set[i] || c == 's' || c == 't' ? 1U : 0U);
    }
    return mode;
}

std::int64_t time_of(std::string_view date, std::string_view time, std::string_view line) {
    using namespace std::chrono;
    if (date.size() < 10 || date.size() > 12 || date[date.size() - 6] != '/' || date[date.size() - 3] != '/' ||
        time.size() != 8 || time[2] != ':' || time[5] != ':') {
        refuse_line(line);
    }
    const auto part = [&](std::string_view text, std::size_t at, std::size_t size) {
        return number_of<unsigned>(text.substr(at, size), line);
    };
    const std::size_t years = date.size() - 6;
    const year_month_day day(year(number_of<int>(date.substr(0, years), line)), month(part(date, years + 1, 2)),
                             std::chrono::day(part(date, years + 4, 2)));
    if (!day.ok()) refuse_line(line);
    return duration_cast<seconds>(sys_days(day).time_since_epoch()).count() + std::int64_t{3600} * part(time, 0, 2) +
           std::int64_t{60} * part(time, 3, 2) + part(time, 6, 2);
}

bool is_octal(char c) {
    return c >= '0' && c <= '7';
}

}  // namespace

std::string plain_name(std::string_view printed) {
    std::string name;
    for (std::size_t i = 0; i < printed.size(); ++i) {
        const std::string_view rest = printed.substr(i);
        if (rest.size() >= 5 && rest[0] == '\\' && rest[1] == '#' && rest[2] >= '0' && rest[2] <= '3' &&
            is_octal(rest[3]) && is_octal(rest[4])) {
            name += static_cast<char>((rest[2] - '0') * 64 + (rest[3] - '0') * 8 + (rest[4] - '0'));
            i += 4;
        } else {
            name += rest[0];
        }
    }
    return name;
}

std::optional<Listed> parse_listing_line(std::string_view line) {
    std::string_view rest = line;
    const std::string_view letters = next_word(rest, line);
    if (letters.size() < 10 || letters.size() > 11) refuse_line(line);
    const std::string_view size = next_word(rest, line);
    const std::string_view date = next_word(rest, line);
    const std::string_view time = next_word(rest, line);
    if (rest.size() < 2) refuse_line(line);
    Listed listed;
    listed.directory = letters[0] == 'd';
    if (!listed.directory && letters[0] != '-') {
        if (std::string_view("lcbpsD").find(letters[0]) == std::string_view::npos) refuse_line(line);
        return std::nullopt;
    }
    listed.mode = mode_of(letters.substr(1, 9), line);
    listed.size = number_of<std::uint64_t>(size, line);
    listed.mtime = time_of(date, time, line);
    listed.path = plain_name(rest.substr(1));
    return listed;
}

std::optional<Transferred> parse_transfer_line(std::string_view line) {
    constexpr std::size_t flags = 11;
    if (line.size() < flags + 4 || line[flags] != ' ' || line[1] != 'f') return std::nullopt;
    const char update = line[0];
    if (update != '>' && update != '<' && update != '.' && update != 'c') return std::nullopt;
    std::string_view rest = line.substr(flags);
    Transferred file;
    file.written = update == '>' || update == '<';
    const std::string_view bytes = next_word(rest, line);
    file.bytes = number_of<std::uint64_t>(bytes, line);
    if (rest.size() < 2) refuse_line(line);
    file.path = plain_name(rest.substr(1));
    return file;
}

}  // namespace coffer::rsync
