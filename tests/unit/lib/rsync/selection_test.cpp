#include "lib/rsync/selection.h"

#include <CppUTest/TestHarness.h>

#include <algorithm>
#include <numeric>

using namespace coffer::rsync;

TEST_GROUP(RsyncSelection){};

TEST(RsyncSelection, LeavesOutWhatIsOfTheRunningServer) {
    for (const char* path :
         {"postmaster.pid", "postmaster.opts", "backup_label", "backup_label.old", "tablespace_map", "backup_manifest",
          "pg_wal/000000010000000000000001", "pg_replslot/coffer/state", "pg_notify/0000", "pg_subtrans/0000",
          "pg_stat_tmp/global.stat", "pg_dynshmem/mmap.1", "pg_serial/1", "pg_snapshots/1",
          "base/pgsql_tmp/pgsql_tmp1.0", "base/5/pg_internal.init", "global/pg_internal.init.123",
          "base/pgsql_tmp/pgsql_tmp1.sharedfileset/0.0", "pg_tblspc/1/PG_15_202209061/pgsql_tmp/pgsql_tmp1.1"}) {
        CHECK_FALSE_TEXT(is_part_of_backup(path, false), path);
    }
    for (const char* path : {"PG_VERSION", "global/pg_control", "base/5/16384", "base/5/16384.1", "base/5/16384_fsm",
                             "pg_xact/0000", "postgresql.auto.conf", "pg_stat/pgstat.stat", "log/backup_label",
                             "pg_tblspc/1/PG_15_202209061/5/16384", "pg_waldump.txt"}) {
        CHECK_TEXT(is_part_of_backup(path, false), path);
    }
}

TEST(RsyncSelection, KeepsTheDirectoriesThemselves) {
    for (const char* path : {"pg_wal", "pg_wal/archive_status", "pg_replslot", "pg_subtrans", "base/5"})
        CHECK_TEXT(is_part_of_backup(path, true), path);
    for (const char* path : {"pg_wal/summaries", "pg_replslot/coffer", "base/pgsql_tmp"})
        CHECK_FALSE_TEXT(is_part_of_backup(path, true), path);
}

TEST(RsyncSelection, LeavesOutTheContentOfUnloggedRelations) {
    std::vector<Listed> files;
    for (const char* path : {"base/5/100", "base/5/100.1", "base/5/100_fsm", "base/5/100_init", "base/5/1001",
                             "base/6/100", "pg_tblspc/1/PG_15_1/5/7", "pg_tblspc/1/PG_15_1/5/7_init", "notes_init"}) {
        files.push_back({false, 0600, 1, 0, path});
    }
    leave_out_unlogged(files);
    std::string left;
    for (const Listed& file : files) left += file.path + " ";
    STRCMP_EQUAL("base/5/100_init base/5/1001 base/6/100 pg_tblspc/1/PG_15_1/5/7_init notes_init ", left.c_str());
}

TEST(RsyncSelection, SharesFilesOutEvenly) {
    std::vector<Listed> files;
    for (int i = 0; i < 1000; ++i)
        files.push_back({false, 0600, static_cast<std::uint64_t>(i % 7) << 20, 0, "f" + std::to_string(i)});
    const auto shares = shared_out(files, 4);
    LONGS_EQUAL(4, shares.size());
    std::vector<std::uint64_t> bytes;
    std::size_t count = 0;
    for (const auto& share : shares) {
        count += share.size();
        bytes.push_back(std::accumulate(share.begin(), share.end(), std::uint64_t{0},
                                        [](std::uint64_t sum, const Listed& file) { return sum + file.size; }));
    }
    LONGS_EQUAL(1000, count);
    CHECK(*std::max_element(bytes.begin(), bytes.end()) - *std::min_element(bytes.begin(), bytes.end()) < (8U << 20));
    LONGS_EQUAL(2, shared_out({files[0], files[1]}, 4).size());
    LONGS_EQUAL(0, shared_out({}, 4).size());
}
