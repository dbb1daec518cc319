#include "lib/retention/tiers.h"

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

// damaged: those count, too, and are chosen in a period that has no other.
void choose(const std::vector<TierCandidate>& backups, std::uint32_t count, Period period, bool damaged,
            const char* name, std::map<std::string, std::string>& chosen) {
    for (auto backup = backups.rbegin(); backup != backups.rend() && count > 0; --count) {
        const std::int64_t now = period(backup->end_time);
        const TierCandidate* best = nullptr;
        for (; backup != backups.rend() && period(backup->end_time) == now; ++backup) {
            if (best == nullptr ? damaged || !backup->damaged : best->damaged && !backup->damaged) best = &*backup;
        }
        if (best == nullptr) {
            ++count;  // not a period that has one
        } else {
            chosen[best->backup_id] = name;
        }
    }
}

}  // namespace

std::map<std::string, std::string> chosen_by_tiers(const std::vector<TierCandidate>& backups,
                                                   const config::RetentionTiers& tiers) {
    std::map<std::string, std::string> chosen;
    for (const bool damaged : {false, true}) {
        choose(backups, tiers.daily, day_of, damaged, "DAILY", chosen);
        choose(backups, tiers.weekly, week_of, damaged, "WEEKLY", chosen);
        choose(backups, tiers.monthly, month_of, damaged, "MONTHLY", chosen);
        choose(backups, tiers.yearly, year_of, damaged, "YEARLY", chosen);
    }
    return chosen;
}

}  // namespace coffer::retention
