#include "lib/image/clone.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/subvolume.h"
#include "tests/unit/lib/base/loop_disk.h"

using namespace coffer;
using namespace coffer::image;

TEST_GROUP(Clone){static void fill(const Path& tree){std::filesystem::create_directories(tree / "base/5");
std::filesystem::create_directories(tree / "pg_tblspc");
::chmod((tree / "base").c_str(), 0750);
for (int i = 0; i < 50; ++i) write_file_durably(tree / "base/5" / std::to_string(i), std::string(20000, 'a'), 0640);
write_file_durably(tree / "PG_VERSION", "15\n", 0600);
std::filesystem::create_symlink("/nowhere", tree / "pg_tblspc/16384");
}
static void check(const Path& from, const Path& to, CloneWay way) {
    const auto status_of = [](const Path& path) {
        struct stat status {};
        ::lstat(path.c_str(), &status);
        return status;
    };
    for (int i = 0; i < 50; ++i) {
        const Path file = Path("base/5") / std::to_string(i);
        CHECK(*read_file(to / file) == std::string(20000, 'a'));
        LONGS_EQUAL(0640, status_of(to / file).st_mode & 07777);
        LONGS_EQUAL(way == CloneWay::hard_link ? 2 : 1, status_of(from / file).st_nlink);
    }
    LONGS_EQUAL(0600, status_of(to / "PG_VERSION").st_mode & 07777);
    LONGS_EQUAL(0750, status_of(to / "base").st_mode & 07777);
    CHECK(!std::filesystem::exists(std::filesystem::symlink_status(to / "pg_tblspc/16384")));
    CHECK(std::filesystem::is_symlink(from / "pg_tblspc/16384"));
}
static void use_on(const char* kind, CloneWay expected) {
    test::LoopDisk disk(kind);
    if (!disk.mounted()) return;
    const Path first = disk.path() / "first", second = disk.path() / "second";
    CHECK(best_clone_way(disk.path()) == expected);
    make_image_directory(first);
    fill(first);
    CHECK(clone_tree(first, second) == expected);
    check(first, second, expected);
    if (expected == CloneWay::hard_link) return;
    write_file_durably(second / "base/5/7", "changed");
    CHECK(*read_file(first / "base/5/7") == std::string(20000, 'a'));
}
}
;

TEST(Clone, IsASnapshotOnBtrfs) {
    use_on("btrfs", CloneWay::snapshot);
}
TEST(Clone, SharesBlocksOnXfs) {
    use_on("xfs", CloneWay::reflink);
}
TEST(Clone, LinksFilesElsewhere) {
    use_on("ext4", CloneWay::hard_link);
}

TEST(Clone, OfADirectoryThatIsNoSubvolumeSharesBlocks) {
    test::LoopDisk disk("btrfs");
    if (!disk.mounted()) return;
    const Path first = disk.path() / "first", second = disk.path() / "second", third = disk.path() / "third";
    std::filesystem::create_directory(first);
    fill(first);
    CHECK(clone_tree(first, second) == CloneWay::reflink);
    check(first, second, CloneWay::reflink);
    CHECK(clone_tree(second, third) == CloneWay::snapshot);  // the clone is one
}

TEST(Clone, EndsWhenItIsCanceled) {
    test::LoopDisk disk("ext4");
    if (!disk.mounted()) return;
    fill(disk.path() / "first");
    try {
        clone_tree(disk.path() / "first", disk.path() / "second", [] { return true; });
        FAIL("it went on");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::canceled);
    }
}

TEST(Clone, ReadOnlySubvolumesAreClonedWritableAndRemoved) {
    test::LoopDisk disk("btrfs");
    if (!disk.mounted()) return;
    const Path first = disk.path() / "first", second = disk.path() / "second";
    make_image_directory(first);
    fill(first);
    set_read_only(first, true);
    CHECK(is_read_only(first));
    CHECK_THROWS(Error, write_file_durably(first / "base/5/7", "changed"));
    CHECK(clone_tree(first, second) == CloneWay::snapshot);
    write_file_durably(second / "base/5/7", "changed");
    remove_directory_tree(first);
    CHECK(!std::filesystem::exists(first));
    STRCMP_EQUAL("changed", read_file(second / "base/5/7")->c_str());
    remove_directory_tree(disk.path() / "absent");
}

TEST(Clone, WaysHaveNames) {
    for (const CloneWay way : {CloneWay::snapshot, CloneWay::reflink, CloneWay::hard_link})
        CHECK(clone_way_named(name_of(way)) == way);
    CHECK(!clone_way_named("").has_value());
}
