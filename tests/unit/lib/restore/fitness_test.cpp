#include "lib/restore/fitness.h"

#include <CppUTest/TestHarness.h>

#include <cstdlib>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

TEST_GROUP(Fitness) {
    Path root;
    catalogue::BackupInfo backup;
    std::vector<std::string> warnings;
    void setup() override {
        char name[] = "/tmp/coffer-fitness-XXXXXX";
        root = ::mkdtemp(name);
        std::filesystem::create_directories(root / "global");
        for (const char* file : {"PG_VERSION", "global/pg_control", "backup_label"}) {
            write_file_durably(root / file, "x");
        }
        backup.status = catalogue::BackupStatus::failed;
        backup.error = "1 damaged pages: base/5/1 block 3";
        backup.version = 150000;
        backup.timeline = 1;
        backup.begin_xlog = Lsn{0x1000};
        backup.end_xlog = Lsn{0x2000};
    }
    void teardown() override {
        std::filesystem::remove_all(root);
    }
};

TEST(Fitness, ABackupWithDamagedPagesIsTakenOnlyWhenDamageIsAllowed) {
    CHECK_THROWS(Error, require_fit(backup, root, false, warnings));
    require_fit(backup, root, true, warnings);
    CHECK(warnings.at(0).find("block 3") != std::string::npos);
    backup.end_xlog = {};  // cut off
    CHECK_THROWS(Error, require_fit(backup, root, true, warnings));
}

TEST(Fitness, ABackupThatTheScrubFoundDamagedIsTakenOnlyWhenDamageIsAllowed) {
    catalogue::Extra extra;
    require_undamaged(extra, "20261128T000000", false, warnings);
    require_undamaged(std::nullopt, "20261128T000000", false, warnings);
    CHECK(warnings.empty());
    extra.damage.push_back({"base/5/1259", "has not the checksum that is in the manifest", {3, 8}, {}});
    try {
        require_undamaged(extra, "20261128T000000", false, warnings);
        FAIL("taken");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::refused);
        CHECK(error.full_text().find("base/5/1259") != std::string::npos);
        CHECK(error.full_text().find("blocks 3, 8") != std::string::npos);
        CHECK(error.full_text().find("--no-verify") != std::string::npos);
    }
    require_undamaged(extra, "20261128T000000", true, warnings);
    LONGS_EQUAL(1, warnings.size());
}
