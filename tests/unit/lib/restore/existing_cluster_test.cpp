#include "lib/restore/existing_cluster.h"

#include <CppUTest/TestHarness.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {
constexpr std::uint64_t identifier = 7440000000000000001ULL;
}

TEST_GROUP(ExistingCluster) {
    Path root;
    void setup() override {
        char name[] = "/tmp/coffer-cluster-XXXXXX";
        root = ::mkdtemp(name);
    }
    void teardown() override {
        fs::remove_all(root);
    }
    void put(const Path& path, const std::string& content) const {
        fs::create_directories((root / path).parent_path());
        std::ofstream(root / path) << content;
    }
    void put_control(const char* path, std::uint64_t number) const {
        put(path, std::string(reinterpret_cast<const char*>(&number), sizeof number) + "more");
    }
    std::string refusal() const {
        try {
            require_same_cluster(root, identifier);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }
    void check_refused(const char* why) const {
        CHECK_TEXT(refusal().find(why) != std::string::npos, refusal().c_str());
    }
};

TEST(ExistingCluster, IsKnownByItsControlFileOrByTheMarkerOfARestore) {
    put("PG_VERSION", "15");
    check_refused("no data directory");
    for (const char* path : {"global/pg_control", control_aside, "global/.pg_control.tmp"}) {
        put_control(path, identifier);
        STRCMP_EQUAL("", refusal().c_str());
        put_control(path, identifier + 1);
        check_refused("another cluster");
        fs::remove(root / path);
    }
    catalogue::BackupInfo backup;
    backup.systemid = identifier;
    put(unfinished_marker, marker_text("main", backup, {}, true));
    STRCMP_EQUAL("", refusal().c_str());
    backup.systemid = 5;
    put(unfinished_marker, marker_text("main", backup, {}, true));
    check_refused("another cluster");
}

TEST(ExistingCluster, IsNotTouchedWhileItsPidFileNamesALivingProcess) {
    put_control("global/pg_control", identifier);
    put("postmaster.pid", std::to_string(::getppid()) + "\n" + root.string() + "\n");
    ::chown(root.c_str(), ::geteuid(), ::getegid());
    check_refused("a server runs");
    put("postmaster.pid", "-" + std::to_string(::getppid()) + "\n");
    check_refused("a server runs");
    for (const char* harmless : {"", "nonsense", "1", "99999999", "4194305\n\n\n\n\n\n5432001 4194305\nready\n"}) {
        put("postmaster.pid", harmless);
        STRCMP_EQUAL("", refusal().c_str());
    }
}

TEST(ExistingCluster, OwnsTheTablespacesThatItLinksToOrThatItsMarkerNames) {
    TablespaceTarget space;
    space.oid = 16384;
    space.source = root / "backup";
    space.target = root / "space";
    put("space/PG_15_202209061/5/1", "x");
    fs::create_directories(root / "backup/PG_15_202209061");
    Path pgdata = root / "data";
    const auto refused = [&] {
        try {
            require_own_tablespace(root / "data", space, pgdata);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    fs::create_directories(root / "data/pg_tblspc");
    CHECK(refused().find("not the destination's own") != std::string::npos);
    fs::create_symlink(root / "space", root / "data/pg_tblspc/16384");
    STRCMP_EQUAL("", refused().c_str());
    // A copy of the data directory has this link as well.
    for (const Path& elsewhere : {Path(root / "original"), Path()}) {
        pgdata = elsewhere;
        space.mapped = false;
        CHECK(refused().find("that of another server if the destination is a copy") != std::string::npos);
        space.mapped = true;
        STRCMP_EQUAL("", refused().c_str());
    }
    space.mapped = false;
    fs::remove(root / "data/pg_tblspc/16384");
    put(Path("data") / unfinished_marker, marker_text("main", {}, {space}, true));
    STRCMP_EQUAL("", refused().c_str());
    put("space/PG_14_202107181/5/1", "of an older cluster");
    CHECK(refused().find("not of this backup") != std::string::npos);
}

TEST(ExistingCluster, OwnsATablespaceThatLiesInIt) {
    TablespaceTarget space;
    space.oid = 16384;
    space.source = root / "backup";
    space.target = root / "data/space";
    put("data/space/PG_15_202209061/5/1", "x");
    fs::create_directories(root / "backup/PG_15_202209061");
    fs::create_directories(root / "data/pg_tblspc");
    fs::create_symlink(space.target, root / "data/pg_tblspc/16384");
    require_own_tablespace(root / "data", space, root / "original");
}

TEST(ExistingCluster, IsNotTouchedWhileAServerElsewhereUsesItsTablespace) {
    fs::create_directories(root / "original/pg_tblspc");
    fs::create_directories(root / "space");
    fs::create_symlink(root / "space", root / "original/pg_tblspc/16384");
    int ready[2];
    CHECK_EQUAL(0, ::pipe(ready));
    const pid_t server = ::fork();
    if (server == 0) {
        ::prctl(PR_SET_NAME, "postgres");
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const bool there = ::chdir((root / "original").c_str()) == 0;
        if (!there || ::write(ready[1], "x", 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    char byte = 0;
    CHECK_EQUAL(1, ::read(ready[0], &byte, 1));
    TablespaceTarget space;
    space.name = "fast";
    space.target = root / "space";
    TablespaceTarget other;
    other.target = root;
    require_no_server(root, {other});
    std::string told;
    try {
        require_no_server(root, {space});
    } catch (const Error& error) {
        told = error.what();
    }
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    CHECK_TEXT(told.find("a server that runs uses the place of tablespace 'fast'") != std::string::npos, told.c_str());
    require_no_server(root, {space});
}

TEST(ExistingCluster, IsGoneOnWithByDeltaOnlyWhereThatIsPossible) {
    catalogue::BackupInfo backup;
    CHECK(marker_text("main", backup, {}, false).find("--delta-restore") != std::string::npos);
    backup.unknown["parent_backup_id"] = "20261101T010101";
    CHECK(marker_text("main", backup, {}, false).find("--delta-restore") == std::string::npos);
}
