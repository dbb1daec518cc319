#include "tools/cofferctl/text.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

namespace coffer::cofferctl {
namespace {

std::tm local_time(WallTime time) {
    const std::time_t seconds = seconds_of(time);
    std::tm fields{};
    ::localtime_r(&seconds, &fields);
    return fields;
}

}  // namespace

std::string pretty_duration(double seconds) {
    if (seconds < 1) return "less than one second";
    auto left = static_cast<std::uint64_t>(seconds);
    std::string text;
    struct {
        const char* name;
        std::uint64_t length;
    } const units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    for (const auto& unit : units) {
        const std::uint64_t count = left / unit.length;
        left %= unit.length;
        if (count == 0) continue;
        text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", count, unit.name, count == 1 ? "" : "s");
    }
    return text;
}

std::int64_t seconds_of(WallTime time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::string ctime_text(WallTime time) {
    const std::tm fields = local_time(time);
    char text[64];
    const std::size_t length = std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &fields);
    return std::string(text, length);
}

std::string iso_text(WallTime time) {
    const std::tm fields = local_time(time);
    const auto micros = (time - std::chrono::floor<std::chrono::seconds>(time)).count();
    const long offset = fields.tm_gmtoff / 60;
    const long minutes = offset < 0 ? -offset : offset;
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}{}{:02}:{:02}", fields.tm_year + 1900,
                       fields.tm_mon + 1, fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec, micros,
                       offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::string in_one_line(std::string text) {
    constexpr std::string_view hint = "\nHINT: ";
    for (std::size_t at = 0; (at = text.find(hint, at)) != std::string::npos;) text.replace(at, hint.size(), "; ");
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

std::string version_text(std::uint32_t server_version) {
    return fmt::format("{}.{}", server_version / 10000, server_version % 10000);
}

}  // namespace coffer::cofferctl
