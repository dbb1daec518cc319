#include "lib/pg/low_level_backup.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;

TEST_GROUP(LowLevelBackup){};

TEST(LowLevelBackup, ALabelSaysWhereRecoveryBegins) {
    const pg::BackupLabel label = pg::parse_backup_label(
        "START WAL LOCATION: 1/2000028 (file 000000030000000100000002)\nCHECKPOINT LOCATION: 1/2000060\n"
        "BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-12-01 04:00:00 UTC\nLABEL: coffer\nSTART "
        "TIMELINE: 3\n");
    CHECK(label.start == Lsn{0x102000028ULL});
    LONGS_EQUAL(3, label.timeline);
}

TEST(LowLevelBackup, AnythingElseIsRefused) {
    for (const char* text :
         {"", "START TIMELINE: 1\n", "START WAL LOCATION: 0/28\n", "START WAL LOCATION: x\nSTART TIMELINE: 1",
          "START WAL LOCATION: 0/28 (f)\nSTART TIMELINE: 0\n", "START WAL LOCATION: 0/28\nSTART TIMELINE: 1x\n"}) {
        CHECK_THROWS(Error, (void)pg::parse_backup_label(text));
    }
}
