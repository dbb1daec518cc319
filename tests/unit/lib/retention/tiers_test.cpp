#include "lib/retention/tiers.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::retention;

namespace {

TierCandidate at(const char* id) {
    const std::string text(id);
    const auto number = [&](std::size_t from, std::size_t count) { return std::stoi(text.substr(from, count)); };
    const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                          std::chrono::month(static_cast<unsigned>(number(4, 2))),
                                          std::chrono::day(static_cast<unsigned>(number(6, 2)))};
    return {text, WallTime(std::chrono::sys_days(day) + std::chrono::hours(number(9, 2)))};
}

std::string chosen(const std::vector<const char*>& ids, const char* tiers) {
    std::vector<TierCandidate> backups;
    for (const char* const id : ids) backups.push_back(at(id));
    std::string all;
    for (const auto& [id, tier] : chosen_by_tiers(backups, config::RetentionTiers::parse(tiers).value()))
        all += (all.empty() ? "" : " ") + id.substr(0, 8) + "=" + tier;
    return all;
}

}  // namespace

TEST_GROUP(Tiers){};

TEST(Tiers, KeepsTheNewestBackupOfEachPeriodThatHasOne) {
    // 2026-11-02 is a Monday.
    const std::vector<const char*> ids{"20251231T230000", "20260101T000000", "20261025T010000", "20261101T230000",
                                       "20261102T000000", "20261102T120000", "20261103T010000"};
    STRCMP_EQUAL("20261102=DAILY 20261103=DAILY", chosen(ids, "2 DAILY").c_str());
    STRCMP_EQUAL("20261101=WEEKLY 20261103=WEEKLY", chosen(ids, "2 WEEKLY").c_str());
    STRCMP_EQUAL("20260101=MONTHLY 20261025=MONTHLY 20261103=MONTHLY", chosen(ids, "3 monthly").c_str());
    STRCMP_EQUAL("20251231=YEARLY 20261103=YEARLY", chosen(ids, "9 YEARLY").c_str());
    STRCMP_EQUAL("20251231=YEARLY 20261102=DAILY 20261103=YEARLY", chosen(ids, "2 DAILY, 2 YEARLY").c_str());
    STRCMP_EQUAL("", chosen({}, "2 DAILY, 2 YEARLY").c_str());
    STRCMP_EQUAL("", chosen(ids, "").c_str());
}

TEST(Tiers, WhatWasChosenStaysWhileItsTierHasRoom) {
    std::vector<const char*> ids{"20260131T010000", "20260228T010000", "20260331T010000"};
    STRCMP_EQUAL("20260228=MONTHLY 20260331=MONTHLY", chosen(ids, "2 MONTHLY").c_str());
    ids.push_back("20260401T010000");
    STRCMP_EQUAL("20260331=MONTHLY 20260401=MONTHLY", chosen(ids, "2 MONTHLY").c_str());
}
