#include "lib/restore/copy.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

Path scratch() {
    char name[] = "/tmp/coffer-copy-XXXXXX";
    return ::mkdtemp(name);
}

void put(const Path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
}

mode_t mode_of(const Path& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    return status.st_mode & 07777;
}

}  // namespace

TEST_GROUP(CopyTree) {
    Path root = scratch();
    void teardown() override {
        fs::remove_all(root);
    }
};

TEST(CopyTree, CopiesEverythingWithThePrivateModesOfPostgres) {
    std::string large(3 << 20, 'x');
    large += "end";
    put(root / "from/base/5/16384", large);
    put(root / "from/base/5/16384_fsm", "");
    put(root / "from/PG_VERSION", "15\n");
    put(root / "from/pg_wal/000000010000000000000001", "not wanted");
    put(root / "from/postmaster.pid", "1\n");
    fs::create_directories(root / "from/pg_stat");
    fs::create_symlink("/nowhere", root / "from/link");
    fs::permissions(root / "from/PG_VERSION", fs::perms::all);
    fs::create_directory(root / "to");
    const Tree tree = list_tree(root / "from", root / "to", [](const std::string& path) {
        return path == "postmaster.pid" || path.starts_with("pg_wal/");
    });
    UNSIGNED_LONGS_EQUAL(3, tree.files);
    UNSIGNED_LONGS_EQUAL(large.size() + 3, tree.bytes);
    std::atomic<std::uint64_t> copied{0};
    CopyControl control;
    control.copied = [&](std::uint64_t bytes) { copied += bytes; };
    copy_trees({tree}, control);
    UNSIGNED_LONGS_EQUAL(tree.bytes, copied.load());
    CHECK(read_file(root / "to/base/5/16384") == large);
    CHECK(read_file(root / "to/base/5/16384_fsm") == "");
    CHECK(read_file(root / "to/PG_VERSION") == "15\n");
    CHECK(fs::is_directory(root / "to/pg_stat") && fs::is_directory(root / "to/pg_wal"));
    CHECK(!fs::exists(root / "to/postmaster.pid") && fs::is_empty(root / "to/pg_wal"));
    CHECK(!fs::is_symlink(root / "to/link"));
    UNSIGNED_LONGS_EQUAL(0600, mode_of(root / "to/PG_VERSION"));
    UNSIGNED_LONGS_EQUAL(0700, mode_of(root / "to/base/5"));
}

TEST(CopyTree, CopiesALargeFileInRanges) {
    fs::create_directories(root / "from");
    fs::create_directories(root / "to");
    std::ofstream file(root / "from/large");
    for (int megabyte = 0; megabyte < 66; ++megabyte) {
        file.seekp(static_cast<std::streamoff>(megabyte) << 20);
        file << "part " << megabyte;
    }
    file.close();
    CopyControl control;
    control.jobs = 3;
    copy_trees({list_tree(root / "from", root / "to", nullptr)}, control);
    CHECK(read_file(root / "from/large") == read_file(root / "to/large"));
}

TEST(CopyTree, StopsWhenCanceled) {
    put(root / "from/a", "a");
    fs::create_directories(root / "to");
    CopyControl control;
    control.canceled = [] { return true; };
    try {
        copy_trees({list_tree(root / "from", root / "to", nullptr)}, control);
        FAIL("must be canceled");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::canceled);
    }
}

TEST(CopyTree, PassesOnTheFirstErrorOfAnyThread) {
    put(root / "from/a", "a");
    put(root / "from/b", "b");
    fs::create_directories(root / "to");
    const Tree tree = list_tree(root / "from", root / "to", nullptr);
    fs::remove(root / "from/b");
    try {
        copy_trees({tree}, CopyControl{});
        FAIL("must fail");
    } catch (const Error& error) {
        CHECK(error.where().find("/from/b") != std::string::npos);
    }
}
