#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/catalogue_version.h"
#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::catalogue;

TEST_GROUP(CatalogueVersion) {
    test::ServerFixture held;
    config::Server& server = held.server;

    void setup() override {
        Catalogue(server).create_directories();
    }
    void mark(std::string_view text) {
        write_file_durably(config::catalogue_mark(server), text);
    }
    std::string backup(const char* version) {
        const Catalogue catalogue(server);
        BackupInfo info;
        info.backup_id = catalogue.claim_backup_id(Clock()).backup_id;
        info.status = BackupStatus::done;
        info.begin_wal = info.end_wal = "000000010000000000000003";
        catalogue.save(info);
        write_file_durably(server.meta_directory() / (info.backup_id + "-coffer.json"), version);
        return info.backup_id;
    }
};

TEST(CatalogueVersion, IsMarkedByWhoCreatesTheDirectories) {
    CHECK(std::filesystem::exists(config::catalogue_mark(server)));
    CHECK(!config::problem_of_catalogue(server));
    std::filesystem::remove(config::catalogue_mark(server));
    CHECK(!config::problem_of_catalogue(server));  // Barman's own
}

TEST(CatalogueVersion, ANewerOneIsRefusedWithAllThatMatters) {
    mark("{\"version\": 2, \"written_by\": \"9.0\", \"and\": \"more\"}");
    const auto problem = config::problem_of_catalogue(server);
    CHECK(problem && problem->fatal);
    STRCMP_CONTAINS("has version 2, this program (Coffer ", problem->text.c_str());
    STRCMP_CONTAINS(") knows version 1", problem->text.c_str());
    STRCMP_CONTAINS("upgrade Coffer", problem->remedy.c_str());
    CHECK(problem->file == config::catalogue_mark(server));
    CHECK_THROWS(Error, config::require_known_catalogue(server));
    Catalogue(server).create_directories();
    CHECK(config::problem_of_catalogue(server).has_value());  // it is not written over
}

TEST(CatalogueVersion, AMarkThatSaysNothingIsToldAndHarmsNobody) {
    for (const char* const text : {"", "{}", "[]", "{\"version\": \"1\"}", "{\"version\": -1}"}) {
        mark(text);
        const auto problem = config::problem_of_catalogue(server);
        CHECK(problem && !problem->fatal);
        config::require_known_catalogue(server);
    }
    mark("");
    Catalogue(server).create_directories();
    CHECK(!config::problem_of_catalogue(server));
}

TEST(CatalogueVersion, ANewerRecordOfOneBackupIsRefusedForThatOneAlone) {
    const std::string newer = backup("{\"version\": 2, \"files\": \"in another form\"}");
    const std::string known = backup("{\"version\": 1, \"files\": 7}");
    const std::string older = backup("{\"files\": 8}");
    const Catalogue catalogue(server);
    CHECK_THROWS(Error, BackupLock(server, newer));
    CHECK_THROWS(Error, BackupLease(server, newer));
    CHECK_THROWS(Error, catalogue.mark_removed(newer));
    CHECK(catalogue.extra(newer)->unreadable);
    { const BackupLock lock(server, known); }
    { const BackupLease lease(server, older); }
    LONGS_EQUAL(7, catalogue.extra(known)->files);
    LONGS_EQUAL(8, catalogue.extra(older)->files);
    LONGS_EQUAL(3, catalogue.backups().size());
}
