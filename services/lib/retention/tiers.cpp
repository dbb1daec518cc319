#include "lib/retention/tiers.h"

#include <optional>

namespace coffer::retention {
namespace {

using Day = std::chrono::sys_days;

// A number for the period that a time lies in: the same for two times exactly when they are in the same one.
using Period = std::int64_t (*)(WallTime);

std::int64_t day_of(WallTime time) {
    return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
}

std::int64_t week_of(WallTime time) {
    const std::int64_t monday_based = day_of(time) + 3;  // 1970-01-01 was a Thursday
    return monday_based >= 0 ? monday_based / 7 : (monday_based - 6) / 7;
}

std::chrono::year_month_day date_of(WallTime time) {
    return std::chrono::year_month_day(Day(std::chrono::days(day_of(time))));
}

std::int64_t year_of(WallTime time) {
    return static_cast<int>(date_of(time).year());
}

std::int64_t month_of(WallTime time) {
    return year_of(time) * 12 + static_cast<unsigned>(date_of(time).month());
}

void choose(const std::vector<TierCandidate>& backups, std::uint32_t count, Period period, const char* name,
            std::map<std::string, std::string>& chosen) {
    std::optional<std::int64_t> last;
    for (auto backup = backups.rbegin(); backup != backups.rend() && count > 0; ++backup) {
        const std::int64_t now = period(backup->end_time);
        if (last == now) continue;
        last = now;
        chosen[backup->backup_id] = name;
        --count;
    }
}

}  // namespace

std::map<std::string, std::string> chosen_by_tiers(const std::vector<TierCandidate>& backups,
                                                   const config::RetentionTiers& tiers) {
    std::map<std::string, std::string> chosen;
    choose(backups, tiers.daily, day_of, "DAILY", chosen);
    choose(backups, tiers.weekly, week_of, "WEEKLY", chosen);
    choose(backups, tiers.monthly, month_of, "MONTHLY", chosen);
    choose(backups, tiers.yearly, year_of, "YEARLY", chosen);
    return chosen;
}

}  // namespace coffer::retention
