#pragma once
// How long backups are kept: "REDUNDANCY n" or "RECOVERY WINDOW OF n DAYS" (WEEKS, MONTHS of 31 days), in any case.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer::config {

struct RetentionPolicy {
    std::uint32_t redundancy = 0;    // 0: it is a recovery window
    std::chrono::seconds window{0};  // 0: it is a redundancy
    std::string text;                // in the words above, upper case

    static std::optional<RetentionPolicy> parse(std::string_view text);
};

}  // namespace coffer::config
