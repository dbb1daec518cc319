#include "lib/retention/retention.h"

#include <CppUTest/TestHarness.h>

#include "tests/unit/lib/retention/samples.h"

using namespace coffer;
using namespace coffer::retention;
using catalogue::BackupStatus;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;

namespace {

const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 20)) + hours(12);

}  // namespace

// Backup i ended so many days before now and begins in segment 10 * (i + 1).
TEST_GROUP(Retention) {
    std::vector<Candidate> backups;
    Timelines timelines;

    void add(int days_ago, TimelineId timeline = 1) {
        backups.push_back(sample_backup(now - days(days_ago), 10 * (backups.size() + 1), timeline));
    }
    void add_daily(int from, int to) {
        for (int day = from; day >= to; --day) add(day);
    }
    Decision decide(const Policy& policy) {
        return retention::decide(backups, timelines, policy, now);
    }
    // Oldest first, by spaces.
    std::string statuses(const Policy& policy) {
        std::string text;
        for (const Judgement& each : decide(policy).backups) {
            text += (text.empty() ? "" : " ") + each.status();
            CHECK(!each.why.empty());
        }
        return text;
    }
    std::string statuses(const char* policy, std::uint32_t minimum = 0) {
        return statuses(sample_policy(policy, minimum));
    }
};

TEST(Retention, KeepsSoManyAsRedundancySays) {
    add_daily(4, 1);
    STRCMP_EQUAL("OBSOLETE OBSOLETE VALID VALID", statuses("REDUNDANCY 2").c_str());
    STRCMP_EQUAL("OBSOLETE VALID VALID VALID", statuses("REDUNDANCY 2", 3).c_str());
    STRCMP_EQUAL("VALID VALID VALID VALID", statuses("REDUNDANCY 9").c_str());
    backups[2].info.status = BackupStatus::failed;
    STRCMP_EQUAL("OBSOLETE VALID - VALID", statuses("REDUNDANCY 2").c_str());
    backups[2].info.status = BackupStatus::done;
    backups[0].info.status = BackupStatus::failed;
    backups[1].info.status = BackupStatus::waiting_for_wals;
    STRCMP_EQUAL("OBSOLETE OBSOLETE VALID VALID", statuses("REDUNDANCY 2").c_str());
    backups[1].info.status = BackupStatus::started;
    STRCMP_EQUAL("OBSOLETE - VALID VALID", statuses("REDUNDANCY 2").c_str());
    backups[0].info.unreadable = true;
    STRCMP_EQUAL("- - VALID VALID", statuses("REDUNDANCY 2").c_str());
}

TEST(Retention, AKeptBackupOccupiesAPlaceAndNeverGoes) {
    add_daily(5, 1);
    backups[0].keep = Keep::standalone;
    backups[4].keep = Keep::full;
    STRCMP_EQUAL("KEEP:STANDALONE OBSOLETE OBSOLETE VALID KEEP:FULL", statuses("REDUNDANCY 2").c_str());
    STRCMP_EQUAL("KEEP:STANDALONE OBSOLETE OBSOLETE VALID KEEP:FULL", statuses("RECOVERY WINDOW OF 1 DAYS").c_str());
}

TEST(Retention, KeepsTheBackupThatOpensTheWindow) {
    add_daily(10, 1);
    STRCMP_EQUAL("OBSOLETE OBSOLETE OBSOLETE OBSOLETE OBSOLETE OBSOLETE VALID VALID VALID VALID",
                 statuses("RECOVERY WINDOW OF 3 DAYS").c_str());
    // The fourth last ended at the very second where the window begins, so it does not open it: the one before does.
    backups[6].info.end_time = now - days(3);
    backups[7].info.end_time = now - days(3) + seconds(1);
    STRCMP_EQUAL("OBSOLETE OBSOLETE OBSOLETE OBSOLETE OBSOLETE VALID VALID VALID VALID VALID",
                 statuses("RECOVERY WINDOW OF 3 DAYS").c_str());
    CHECK(decide(sample_policy("RECOVERY WINDOW OF 3 DAYS")).next_change == now + seconds(1));
}

TEST(Retention, CountsAMonthAs31Days) {
    add(33), add(32), add(31), add(30);
    STRCMP_EQUAL("OBSOLETE VALID VALID VALID", statuses("RECOVERY WINDOW OF 1 MONTHS").c_str());
}

TEST(Retention, MinimumRedundancyHoldsBackWhatTheWindowGivesUp) {
    add_daily(5, 4);
    add(1);
    STRCMP_EQUAL("OBSOLETE VALID VALID", statuses("RECOVERY WINDOW OF 2 DAYS", 2).c_str());
    STRCMP_EQUAL("OBSOLETE* VALID VALID", statuses("RECOVERY WINDOW OF 2 DAYS", 3).c_str());
}

TEST(Retention, WithoutAPolicyNothingGoes) {
    add_daily(2000, 1990);
    backups[3].keep = Keep::full;
    const Decision decision = decide(sample_policy("none"));
    CHECK(!decision.release.has_value());
    for (const Judgement& each : decision.backups) CHECK(!each.goes());
    STRCMP_EQUAL("KEEP:FULL", decision.backups[3].status().c_str());
}

TEST(Retention, ABackupThatLacksWalCountsForNothing) {
    add_daily(5, 1);
    backups[4].wal_complete = false;
    backups[2].wal_complete = false;
    STRCMP_EQUAL("OBSOLETE VALID - VALID -", statuses("REDUNDANCY 2").c_str());
    STRCMP_EQUAL("OBSOLETE VALID - VALID -", statuses("RECOVERY WINDOW OF 2 DAYS").c_str());
    for (Candidate& backup : backups) backup.wal_complete = false;
    STRCMP_EQUAL("- - - - -", statuses("REDUNDANCY 1").c_str());
}

// It cannot be restored, so it must not stand in for one that can.
TEST(Retention, AKeptBackupThatLacksWalTakesNobodysPlace) {
    add_daily(3, 1);
    backups[2].keep = Keep::full;
    STRCMP_EQUAL("OBSOLETE OBSOLETE KEEP:FULL", statuses("REDUNDANCY 1").c_str());
    backups[2].wal_complete = false;
    STRCMP_EQUAL("OBSOLETE VALID KEEP:FULL", statuses("REDUNDANCY 1").c_str());
}

TEST(Retention, WhatFailedOrWaitsDoesNotHoldTheWalWindowOpen) {
    add_daily(10, 1);
    for (const BackupStatus status : {BackupStatus::failed, BackupStatus::waiting_for_wals}) {
        backups[1].info.status = status;
        for (const char* const policy : {"", "RECOVERY WINDOW OF 12 MONTHS"}) {
            const Decision decision = decide(sample_policy(policy, 0, "", days(2)));
            CHECK(!decision.backups[1].goes());
            CHECK(!decision.release->releases(sample_segment(21)));  // its own
            CHECK(decision.release->releases(sample_segment(22)));
            CHECK(!decision.release->releases(sample_segment(80)));
        }
    }
    backups[1].info.status = BackupStatus::started;  // it may want everything yet
    CHECK(!decide(sample_policy("", 0, "", days(2))).release->releases(sample_segment(22)));
}

TEST(Retention, AnIncrementWithoutItsFullBackupOpensNothing) {
    add_daily(5, 1);
    backups[2].info.unknown["parent_backup_id"] = "20200101T000000";
    const Decision decision = decide(sample_policy("RECOVERY WINDOW OF 30 DAYS", 0, "", days(2)));
    STRCMP_EQUAL("-", decision.backups[2].status().c_str());
    STRCMP_EQUAL(backups[1].info.backup_id.c_str(), decision.opens_wal.c_str());
    CHECK(!decision.release->releases(sample_segment(25)));
}

TEST(Retention, SaysOfNoBackupThatItLeadsOverAGap) {
    add_daily(5, 1);
    timelines.gaps = {{1, Lsn{25 * sample_size.bytes()}, Lsn{28 * sample_size.bytes()}}};
    STRCMP_EQUAL(backups[2].info.backup_id.c_str(),
                 decide(sample_policy("RECOVERY WINDOW OF 30 DAYS")).opens_wal.c_str());
    timelines.gaps = {{1, Lsn{55 * sample_size.bytes()}, Lsn{58 * sample_size.bytes()}}};
    STRCMP_EQUAL("", decide(sample_policy("RECOVERY WINDOW OF 30 DAYS")).opens_wal.c_str());
}

TEST(Retention, TellsWhatWalIsKeptForEach) {
    add_daily(5, 1);
    backups[0].keep = Keep::standalone;
    backups[1].info.status = BackupStatus::failed;
    backups[1].files_kept = false;
    const Decision decision = decide(sample_policy("REDUNDANCY 2"));
    const WalKept expected[] = {WalKept::own, WalKept::none, WalKept::none, WalKept::all, WalKept::all};
    for (std::size_t i = 0; i < backups.size(); ++i) CHECK(decision.backups[i].wal == expected[i]);
}

TEST(Retention, ReleasesWalBeforeTheOldestThatStays) {
    add_daily(4, 1);
    backups[0].keep = Keep::standalone;
    const auto release = decide(sample_policy("REDUNDANCY 2")).release;
    CHECK(release->releases(sample_segment(9)));
    for (const std::uint64_t number : {10, 11}) CHECK(!release->releases(sample_segment(number)));
    for (const std::uint64_t number : {12, 29}) CHECK(release->releases(sample_segment(number)));
    for (const std::uint64_t number : {30, 45, 99}) CHECK(!release->releases(sample_segment(number)));
    backups[0].keep = Keep::full;
    CHECK(!decide(sample_policy("REDUNDANCY 2")).release->releases(sample_segment(10)));
}

TEST(Retention, KeepsTheWalOfABackupThatIsBeingRead) {
    add_daily(4, 1);
    backups[1].leased = true;
    const Decision decision = decide(sample_policy("REDUNDANCY 1"));
    STRCMP_EQUAL("OBSOLETE", decision.backups[1].status().c_str());
    CHECK(decision.release->releases(sample_segment(19)));
    CHECK(!decision.release->releases(sample_segment(20)));
}

TEST(Retention, AWalWindowMakesOlderBackupsGoodForThemselvesAlone) {
    add_daily(10, 1);
    Policy policy = sample_policy("RECOVERY WINDOW OF 8 DAYS", 0, "", days(2));
    Decision decision = decide(policy);
    STRCMP_EQUAL(backups[7].info.backup_id.c_str(), decision.opens_wal.c_str());
    CHECK(decision.backups[6].standalone);
    STRCMP_EQUAL("VALID", decision.backups[6].status().c_str());
    CHECK(!decision.backups[7].standalone);
    for (const std::uint64_t number : {20, 21, 70, 71, 80, 85})
        CHECK(!decision.release->releases(sample_segment(number)));
    for (const std::uint64_t number : {11, 22, 72, 79}) CHECK(decision.release->releases(sample_segment(number)));
    backups[3].keep = Keep::full;  // wants all WAL behind it
    CHECK(!decide(policy).release->releases(sample_segment(79)));
    backups[3].keep = Keep::none;
    // It works without a policy for backups, too.
    decision = decide(sample_policy("", 0, "", days(2)));
    CHECK(decision.release->releases(sample_segment(79)));
    CHECK(!decision.release->releases(sample_segment(80)));
}

TEST(Retention, AWalWindowMayBeLongerThanTheBackupsAreKept) {
    add_daily(10, 1);
    const Decision decision = decide(sample_policy("REDUNDANCY 2", 0, "", days(4)));
    STRCMP_EQUAL("VALID", decision.backups[5].status().c_str());
    STRCMP_EQUAL("OBSOLETE", decision.backups[6].status().c_str());
    STRCMP_EQUAL("OBSOLETE", decision.backups[4].status().c_str());
    CHECK(!decision.release->releases(sample_segment(60)));
    CHECK(decision.release->releases(sample_segment(59)));
}

TEST(Retention, TiersKeepWhatThePolicyGivesUp) {
    for (const int day : {400, 380, 60, 50, 20, 2, 1})
        add(day);  // 2025-10-16, 11-05; 2026-09-21, 10-01, 10-31, 11-18, 11-19
    const Policy policy = sample_policy("REDUNDANCY 1", 0, "3 MONTHLY, 2 YEARLY");
    STRCMP_EQUAL("OBSOLETE TIER:YEARLY TIER:MONTHLY OBSOLETE TIER:MONTHLY OBSOLETE VALID", statuses(policy).c_str());
    const auto release = decide(policy).release;
    CHECK(!release->releases(sample_segment(21)));
    CHECK(release->releases(sample_segment(22)));
    CHECK(release->releases(sample_segment(65)));
}

TEST(Retention, IncrementsOfBarmanShareTheFateOfTheirFullBackup) {
    add_daily(8, 1);
    const auto increment_of = [&](std::size_t i, std::size_t parent) {
        backups[i].info.unknown["parent_backup_id"] = "'" + backups[parent].info.backup_id + "'";
    };
    increment_of(1, 0), increment_of(2, 1), increment_of(4, 3), increment_of(6, 5);
    STRCMP_EQUAL("OBSOLETE OBSOLETE OBSOLETE OBSOLETE OBSOLETE VALID VALID VALID", statuses("REDUNDANCY 2").c_str());
    backups[0].keep = Keep::full;
    backups[3].keep = Keep::standalone;
    STRCMP_EQUAL("KEEP:FULL VALID VALID KEEP:STANDALONE OBSOLETE OBSOLETE OBSOLETE VALID",
                 statuses("REDUNDANCY 1").c_str());
    STRCMP_EQUAL("KEEP:FULL VALID VALID KEEP:STANDALONE VALID VALID VALID VALID",
                 statuses("RECOVERY WINDOW OF 5 DAYS").c_str());
}

// The server was recovered to a moment before its newest backup and goes on, on timeline 2.
TEST(Retention, TheWindowOpensOnTheTimelineThatTheServerIsOn) {
    add(9), add(6), add(4);  // begin in 10, 20, 30
    timelines.paths.emplace(2, sample_path(2, {{1, 25}}));
    timelines.last_wal = {{1, now - days(4)}, {2, now - hours(1)}};
    STRCMP_EQUAL("OBSOLETE VALID VALID", statuses("RECOVERY WINDOW OF 2 DAYS").c_str());
    STRCMP_EQUAL("OBSOLETE VALID VALID", statuses("REDUNDANCY 1").c_str());
    // Nothing has been written for long: it is still where the server is.
    timelines.last_wal[2] = now - days(3);
    STRCMP_EQUAL("OBSOLETE VALID VALID", statuses("RECOVERY WINDOW OF 2 DAYS").c_str());
    // A timeline that was given up long ago binds nothing, and one whose history is not held neither.
    timelines.last_wal = {{1, now - hours(1)}, {2, now - days(3)}, {3, now - days(1)}};
    STRCMP_EQUAL("OBSOLETE OBSOLETE VALID", statuses("RECOVERY WINDOW OF 2 DAYS").c_str());
    STRCMP_EQUAL("OBSOLETE OBSOLETE VALID", statuses("REDUNDANCY 1").c_str());
    // A backup of the new one settles it.
    timelines.last_wal = {{1, now - days(4)}, {2, now - hours(1)}};
    add(1, 2);
    STRCMP_EQUAL("OBSOLETE VALID VALID VALID", statuses("RECOVERY WINDOW OF 2 DAYS").c_str());
    STRCMP_EQUAL("OBSOLETE OBSOLETE OBSOLETE VALID", statuses("REDUNDANCY 1").c_str());
}

// The last good one never goes because a damaged one is newer.
TEST(Retention, ADamagedBackupCountsForNothing) {
    add_daily(3, 1);
    backups[2].damaged = true;
    STRCMP_EQUAL("OBSOLETE VALID -", statuses("REDUNDANCY 1").c_str());
    STRCMP_EQUAL("VALID VALID -", statuses("REDUNDANCY 2").c_str());
    STRCMP_EQUAL("VALID VALID -", statuses("RECOVERY WINDOW OF 2 DAYS").c_str());
    backups[2].damaged = false;
    backups[0].damaged = true;
    STRCMP_EQUAL("OBSOLETE VALID VALID", statuses("REDUNDANCY 2").c_str());
    STRCMP_EQUAL("- VALID VALID", statuses("REDUNDANCY 3").c_str());
}

// What the mark alone would give up stays: it may be mended.
TEST(Retention, ADamagedBackupGoesOnlyWhereAnotherServesItsPromise) {
    struct Row {
        std::vector<int> days_ago, damaged;
        const char *policy, *tiers;
        int window_days;  // 0: none
        const char* expected;
    };
    const Row table[] = {
        // 20 November; the second is the only one of October.
        {{60, 30, 1}, {1}, "REDUNDANCY 1", "3 MONTHLY", 0, "TIER:MONTHLY TIER:MONTHLY VALID"},
        {{60, 31, 30, 1}, {2}, "REDUNDANCY 1", "3 MONTHLY", 0, "TIER:MONTHLY TIER:MONTHLY OBSOLETE VALID"},
        {{60, 31, 30, 1}, {1, 2}, "REDUNDANCY 1", "3 MONTHLY", 0, "TIER:MONTHLY OBSOLETE TIER:MONTHLY VALID"},
        // Neither does a sound one of an older month go for it.
        {{60, 30, 1}, {1}, "REDUNDANCY 1", "2 MONTHLY", 0, "TIER:MONTHLY TIER:MONTHLY VALID"},
        {{60, 30, 1}, {0}, "REDUNDANCY 1", "2 MONTHLY", 0, "OBSOLETE TIER:MONTHLY VALID"},
        {{8, 2, 1}, {0}, "REDUNDANCY 1", "", 5, "- VALID VALID"},
        {{9, 8, 2, 1}, {1}, "REDUNDANCY 1", "", 5, "VALID OBSOLETE OBSOLETE VALID"},
        {{9, 8, 2, 1}, {0}, "REDUNDANCY 1", "", 5, "OBSOLETE VALID OBSOLETE VALID"},
        {{9, 8, 2, 1}, {0, 1, 2, 3}, "REDUNDANCY 1", "", 5, "- - - -"},
        {{9, 8, 2, 1}, {0, 1, 2, 3}, "RECOVERY WINDOW OF 3 DAYS", "", 0, "- - - -"},
    };
    for (const Row& row : table) {
        backups.clear();
        for (const int day : row.days_ago) add(day);
        for (const int number : row.damaged) backups[static_cast<std::size_t>(number)].damaged = true;
        std::optional<seconds> window;
        if (row.window_days > 0) window = days(row.window_days);
        const Policy policy = sample_policy(row.policy, 0, row.tiers, window);
        STRCMP_EQUAL(row.expected, statuses(policy).c_str());
    }
}

TEST(Retention, ADamagedBackupThatOpensAWindowKeepsItsWal) {
    add(8), add(2), add(1);
    backups[0].damaged = true;
    const Policy policy = sample_policy("REDUNDANCY 9", 0, "", days(5));
    CHECK(!decide(policy).backups[0].standalone);
    CHECK(decide(policy).release.has_value());
    STRCMP_EQUAL(backups[0].info.begin_wal.c_str(), decide(policy).release->before.c_str());
    STRCMP_EQUAL(backups[1].info.backup_id.c_str(), decide(policy).opens_wal.c_str());
    backups.insert(backups.begin() + 1, sample_backup(now - days(7), 12));  // a sound one opens it
    CHECK(decide(policy).backups[0].standalone);
}

TEST(Retention, ADamagedBackupThatLeadsToTheTimelineOfTheServerStays) {
    add(3), add(2, 2);
    timelines.paths.emplace(2, sample_path(2, {{1, 15}}));
    timelines.last_wal = {{1, now}, {2, now - days(2)}};
    backups[0].damaged = true;
    STRCMP_EQUAL("- VALID", statuses("REDUNDANCY 1").c_str());
    timelines.last_wal[2] = now + hours(1);
    STRCMP_EQUAL("OBSOLETE VALID", statuses("REDUNDANCY 1").c_str());
}
