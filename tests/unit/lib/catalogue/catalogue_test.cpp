#include "lib/catalogue/catalogue.h"

#include <CppUTest/TestHarness.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/catalogue/removal_room.h"
#include "lib/catalogue/wal_release.h"
#include "lib/config/catalogue_version.h"

using namespace coffer;
using namespace coffer::catalogue;

namespace {

class FixedClock : public Clock {
  public:
    [[nodiscard]] WallTime now() const override {
        return WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + std::chrono::hours(20));
    }
};

template <typename Call>
ErrorCode code_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode::internal;
}

}  // namespace

TEST_GROUP(Catalogue) {
    Path directory;
    config::Server server;
    FixedClock clock;
    bool nothing_is_left() const {
        // What is of the catalogue itself.
        const auto is_room = [this](const auto& entry) {
            return entry.path() == removal_room_path(server) || entry.path() == config::catalogue_mark(server);
        };
        std::filesystem::directory_iterator all(server.meta_directory());
        return std::all_of(begin(all), end(all), is_room);
    }
    void setup() override {
        char name[] = "/tmp/coffer-catalogue-XXXXXX";
        directory = ::mkdtemp(name);
        server.name = "main";
        server.backup_directory = directory / "main";
        server.basebackups_directory = server.backup_directory / "base";
        server.wals_directory = server.backup_directory / "wals";
        server.incoming_wals_directory = server.backup_directory / "incoming";
        server.streaming_wals_directory = server.backup_directory / "streaming";
        server.errors_directory = server.backup_directory / "errors";
        Catalogue(server).create_directories();
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }

    std::string add(BackupStatus status, const char* backup_name = "") {
        const Catalogue catalogue(server);
        const auto claim = catalogue.claim_backup_id(clock);
        BackupInfo info;
        info.backup_id = claim.backup_id;
        info.backup_name = backup_name;
        info.status = status;
        catalogue.save(info);
        std::filesystem::create_directory(catalogue.data_path(info.backup_id));
        return info.backup_id;
    }
};

TEST(Catalogue, GivesUniqueIdsWithinOneSecond) {
    STRCMP_EQUAL("20261123T200000", add(BackupStatus::done).c_str());
    STRCMP_EQUAL("20261123T200001", add(BackupStatus::done).c_str());
}

TEST(Catalogue, FindsBackupsByAlias) {
    const Catalogue catalogue(server);
    CHECK(!catalogue.find("latest").has_value());
    const std::string first = add(BackupStatus::done, "golden"), second = add(BackupStatus::failed),
                      third = add(BackupStatus::done), fourth = add(BackupStatus::waiting_for_wals);
    const std::pair<const char*, std::string> cases[] = {
        {"latest", third},    {"last", third},   {"oldest", first},       {"first", first},
        {"last-full", third}, {"golden", first}, {"last-failed", second}, {fourth.c_str(), fourth}};
    for (const auto& [alias, id] : cases) STRCMP_EQUAL(id.c_str(), catalogue.get(alias).backup_id.c_str());
    CHECK(code_of([&] { (void)catalogue.get("ail"); }) == ErrorCode::no_such_backup);
    CHECK(code_of([&] { (void)catalogue.get(""); }) == ErrorCode::no_such_backup);
    LONGS_EQUAL(4, catalogue.backups().size());
}

TEST(Catalogue, ReadsARecordThatOnlyAnOldBarmanWrote) {
    const std::string id = add(BackupStatus::done);
    std::filesystem::remove(server.meta_directory() / (id + "-backup.info"));
    CHECK(Catalogue(server).get(id).status == BackupStatus::done);
}

TEST(Catalogue, ShowsADamagedRecordAsFailedWithTheReason) {
    const std::string id = add(BackupStatus::done);
    write_file_durably(server.meta_directory() / (id + "-backup.info"), "status=DONE\ntimeline=x\n");
    const BackupInfo info = Catalogue(server).get(id);
    CHECK(info.status == BackupStatus::failed);
    CHECK(info.error.find("line 2") != std::string::npos);
}

TEST(Catalogue, ShowsABackupWhoseFilesAreGoneAsFailed) {
    const std::string id = add(BackupStatus::done);
    std::filesystem::remove_all(Catalogue(server).backup_path(id));
    CHECK(Catalogue(server).get(id).status == BackupStatus::failed);
}

TEST(Catalogue, KeepsTheIdentityOfTheFirstCluster) {
    const Catalogue catalogue(server);
    CHECK(!catalogue.identity().has_value());
    catalogue.confirm_identity({7711472948050202705ULL, 15});
    STRCMP_EQUAL("{\n    \"systemid\": \"7711472948050202705\",\n    \"version\": \"15\"\n}",
                 read_file(server.backup_directory / "identity.json")->c_str());
    catalogue.confirm_identity({7711472948050202705ULL, 16});
    CHECK(code_of([&] { catalogue.confirm_identity({1, 15}); }) == ErrorCode::server_mismatch);
    write_file_durably(server.backup_directory / "identity.json", "{\"systemid\": []}");
    CHECK(code_of([&] { (void)catalogue.identity(); }) == ErrorCode::corrupt);
}

TEST(Catalogue, FailsABackupWhoseProcessDied) {
    const pid_t child = ::fork();
    if (child == 0) {
        const Catalogue catalogue(server);
        const auto claim = catalogue.claim_backup_id(clock);
        BackupInfo info;
        info.backup_id = claim.backup_id;
        info.status = BackupStatus::started;
        catalogue.save(info);
        std::filesystem::create_directories(catalogue.data_path(info.backup_id) / "base/5");
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    const Catalogue catalogue(server);
    const auto alive = catalogue.claim_backup_id(clock);  // no record yet, but its lock is held
    const auto failed = catalogue.fail_abandoned();
    LONGS_EQUAL(1, failed.size());
    CHECK(catalogue.get(failed[0]).status == BackupStatus::failed);
    CHECK(std::filesystem::exists(catalogue.data_path(failed[0])));  // the next one goes on with it
    CHECK(catalogue.get(alive.backup_id).status == BackupStatus::empty);
    CHECK(catalogue.fail_abandoned().empty());
}

TEST(Catalogue, DiscardsOnlyFilesThatNobodyWants) {
    server.clone_images = false;
    const Catalogue catalogue(server);
    const std::string cut_off = add(BackupStatus::started), waits = add(BackupStatus::waiting_for_wals),
                      damaged = add(BackupStatus::failed), of_barman = add(BackupStatus::started);
    std::filesystem::remove(server.meta_directory() / (of_barman + "-backup.info"));
    LONGS_EQUAL(2, catalogue.fail_abandoned().size());
    CHECK(!std::filesystem::exists(catalogue.data_path(cut_off)));
    for (const std::string& id : {waits, damaged, of_barman}) CHECK(std::filesystem::exists(catalogue.data_path(id)));
}

TEST(Catalogue, RemovesABackupWithAllThatBelongsToIt) {
    const std::string id = add(BackupStatus::done);
    const Catalogue catalogue(server);
    catalogue.save(id, Extra{});
    catalogue.mark_removed(id);
    CHECK(catalogue.backups().empty());
    CHECK(std::filesystem::exists(catalogue.backup_path(id)));
    LONGS_EQUAL(1, catalogue.finish_removals().size());
    CHECK(std::filesystem::is_empty(server.basebackups_directory));
    CHECK(nothing_is_left());
}

TEST(Catalogue, RefusesToRemoveWhatMustStay) {
    const std::string id = add(BackupStatus::done);
    const Catalogue catalogue(server);
    server.minimum_redundancy = 1;
    CHECK(code_of([&] { catalogue.mark_removed(id); }) == ErrorCode::refused);
    server.minimum_redundancy = 0;
    {
        const BackupLease lease(server, id), another(server, id);
        CHECK(code_of([&] { catalogue.mark_removed(id); }) == ErrorCode::busy);
    }
    write_file_durably(server.meta_directory() / (id + "-keep"), "full\n");
    CHECK(code_of([&] { catalogue.mark_removed(id); }) == ErrorCode::refused);
    LONGS_EQUAL(1, catalogue.backups().size());
}

TEST(Catalogue, KeepsABackupWhereAllBarmansLook) {
    const std::string id = add(BackupStatus::done), failed = add(BackupStatus::failed);
    const Catalogue catalogue(server);
    CHECK(catalogue.keep_of(id) == Keep::none);
    catalogue.set_keep(id, Keep::standalone);
    CHECK(catalogue.keep_of(id) == Keep::standalone);
    STRCMP_EQUAL("standalone", read_file(server.meta_directory() / (id + "-keep"))->c_str());
    STRCMP_EQUAL("standalone", read_file(catalogue.backup_path(id) / "annotations/keep")->c_str());
    std::filesystem::remove(server.meta_directory() / (id + "-keep"));
    CHECK(code_of([&] { catalogue.mark_removed(id); }) == ErrorCode::refused);  // as Barman before 3.13.3 keeps it
    write_file_durably(catalogue.backup_path(id) / "annotations/keep", "");
    CHECK(catalogue.keep_of(id) == Keep::full);
    catalogue.set_keep(id, Keep::none);
    catalogue.set_keep(id, Keep::none);
    CHECK(catalogue.keep_of(id) == Keep::none);
    CHECK(code_of([&] { catalogue.set_keep(failed, Keep::full); }) == ErrorCode::refused);
    catalogue.mark_removed(id);
}

TEST(Catalogue, ADamagedBackupGoesOnlyWhereEnoughOthersAreGood) {
    const std::string damaged = add(BackupStatus::done), good = add(BackupStatus::done);
    const Catalogue catalogue(server);
    Extra extra;
    extra.damage.push_back({"base/5/1259", "is missing", {}, {}});
    catalogue.save(damaged, extra);
    const auto removable = [&](const std::string& id, std::uint32_t minimum) {
        server.minimum_redundancy = minimum;
        return code_of([&] { catalogue.check_removable(catalogue.get(id)); }) != ErrorCode::refused;
    };
    CHECK(removable(damaged, 0) && removable(damaged, 1) && !removable(damaged, 2));
    CHECK(removable(good, 0) && !removable(good, 1));
    catalogue.save(good, extra);  // none is good
    CHECK(removable(damaged, 0) && !removable(damaged, 1) && !removable(good, 1));
    server.minimum_redundancy = 0;
    catalogue.mark_removed(damaged);
}

TEST(Catalogue, RemovesNoBackupThatAnIncrementNeeds) {
    const std::string full = add(BackupStatus::done), increment = add(BackupStatus::done);
    const Catalogue catalogue(server);
    BackupInfo info = catalogue.get(increment);
    info.unknown["parent_backup_id"] = "'" + full + "'";
    catalogue.save(info);
    CHECK(code_of([&] { catalogue.mark_removed(full); }) == ErrorCode::refused);
    CHECK(code_of([&] { catalogue.set_keep(increment, Keep::full); }) == ErrorCode::refused);
    server.minimum_redundancy = 1;  // which an increment does not count for
    CHECK(code_of([&] { catalogue.check_removable(catalogue.get(full)); }) == ErrorCode::refused);
    server.minimum_redundancy = 0;
    catalogue.mark_removed(increment);
    catalogue.mark_removed(full);
}

TEST(Catalogue, GivesNoLeaseOfABackupThatIsGone) {
    const std::string id = add(BackupStatus::done);
    Catalogue(server).mark_removed(id);
    CHECK(code_of([&] { const BackupLease lease(server, id); }) == ErrorCode::no_such_backup);
    LONGS_EQUAL(1, Catalogue(server).finish_removals().size());
    CHECK(nothing_is_left());
}

TEST(Catalogue, FinishesARemovalThatACrashCutOff) {
    const std::string id = add(BackupStatus::done);
    write_file_durably(server.meta_directory() / (id + "-delete_this"), "");
    const Catalogue catalogue(server);
    CHECK(catalogue.backups().empty());
    LONGS_EQUAL(1, catalogue.finish_removals().size());
    CHECK(std::filesystem::is_empty(server.basebackups_directory));
    CHECK(nothing_is_left());
}

TEST(Catalogue, TellsWhichFailedBackupsStillHaveTheirFiles) {
    const Catalogue catalogue(server);
    for (const char* const end : {"0/3000100", "", "0/3000100"}) {
        BackupInfo info = catalogue.get(add(BackupStatus::failed));
        if (*end != '\0') info.end_xlog = *Lsn::parse(end);
        catalogue.save(info);
    }
    catalogue.discard_trees("20261123T200002");
    const std::vector<RemainingBackup> remaining = remaining_backups(server);
    LONGS_EQUAL(3, remaining.size());
    CHECK(remaining[0].files_kept);
    CHECK(!remaining[1].files_kept);  // its copy never ended
    CHECK(!remaining[2].files_kept);
}

TEST(Catalogue, KeepsWhatOnlyCofferKnows) {
    const std::string id = add(BackupStatus::done);
    const Catalogue catalogue(server);
    CHECK(!catalogue.extra(id).has_value());
    Extra extra;
    extra.bad_pages = {{"base/5/16384", 7, Lsn{0x123}}};
    extra.bad_pages_total = 1;
    extra.pages_checked = 99;
    catalogue.save(id, extra);
    const Extra again = *catalogue.extra(id);
    LONGS_EQUAL(99, again.pages_checked);
    STRCMP_EQUAL("base/5/16384", again.bad_pages[0].file.c_str());
    CHECK(again.bad_pages[0].page_lsn == Lsn{0x123});
}

TEST(Catalogue, LetsOneBackupOfAServerRunAtATime) {
    config::Config config;
    config.lock_directory = directory / "lock";
    const ServerBackupLock lock(config, server);
    CHECK(code_of([&] { const ServerBackupLock another(config, server); }) == ErrorCode::busy);
}
