#pragma once
// How long backups are kept: "REDUNDANCY n" or "RECOVERY WINDOW OF n DAYS" (WEEKS, MONTHS of 31 days), in any case. And
// tiers: "7 DAILY, 5 WEEKLY, 12 MONTHLY, 3 YEARLY", each at most once.
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

// Of so many days, weeks, months and years that have one, the newest backup is kept, for itself alone.
struct RetentionTiers {
    std::uint32_t daily = 0, weekly = 0, monthly = 0, yearly = 0;
    std::string text;  // as above; empty: none

    static std::optional<RetentionTiers> parse(std::string_view text);
};

}  // namespace coffer::config
