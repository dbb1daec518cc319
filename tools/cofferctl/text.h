#pragma once
// Numbers and times in the words that Barman's output uses. Times are shown in the local time zone.
#include <chrono>
#include <cstdint>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/pretty_size.h"

namespace coffer::cofferctl {

// "less than one second", "1 second", "2 minutes, 3 seconds", "1 day, 2 hours"
std::string pretty_duration(double seconds);
// "Mon Nov 23 21:14:55 2026"
std::string ctime_text(WallTime time);
// "2026-11-23 21:14:55.422273+00:00"
std::string iso_text(WallTime time);
// Seconds since 1970.
std::int64_t seconds_of(WallTime time);
// An error on one line: its remedy goes behind a semicolon instead of "HINT: " on a second one.
std::string in_one_line(std::string text);
// "15.20"
std::string version_text(std::uint32_t server_version);

}  // namespace coffer::cofferctl
