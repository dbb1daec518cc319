#include "lib/catalogue/backup_lock.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::catalogue;

namespace {

constexpr uid_t somebody = 12345;

uid_t owner_of(const Path& path) {
    struct stat status {};
    LONGS_EQUAL(0, ::lstat(path.c_str(), &status));
    return status.st_uid;
}

}  // namespace

TEST_GROUP(BackupLock) {
    Path directory;
    Path path;
    void setup() override {
        char name[] = "/tmp/coffer-lock-XXXXXX";
        directory = ::mkdtemp(name);
        path = directory / ".20261123T200000.lock";
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
};

TEST(BackupLock, IsHeldByOneWriterOrSeveralReadersAndVanishesWithTheLast) {
    auto reader = LockFile::try_lock(path, LockFile::Mode::shared);
    auto another = LockFile::try_lock(path, LockFile::Mode::shared);
    CHECK(reader && another);
    CHECK(!LockFile::try_lock(path, LockFile::Mode::exclusive));
    reader.reset();
    CHECK(std::filesystem::exists(path));
    another.reset();
    CHECK(!std::filesystem::exists(path));
}

TEST(BackupLock, OfRootBelongsToTheOwnerOfItsDirectory) {
    if (::geteuid() != 0) return;
    LONGS_EQUAL(0, ::chown(directory.c_str(), somebody, somebody));
    const auto lock = LockFile::try_lock(path, LockFile::Mode::shared);
    LONGS_EQUAL(somebody, owner_of(path));
}

TEST(BackupLock, GivesAwayNothingThatTheOwnerOfTheDirectoryLinkedToIt) {
    if (::geteuid() != 0) return;
    LONGS_EQUAL(0, ::chown(directory.c_str(), somebody, somebody));
    const Path roots = directory / "roots";
    write_file_durably(roots, "");
    std::filesystem::create_hard_link(roots, path);
    {
        const auto lock = LockFile::try_lock(path, LockFile::Mode::shared);
        LONGS_EQUAL(0, owner_of(roots));
    }
    std::filesystem::remove(path);
    std::filesystem::create_symlink(roots, path);
    CHECK_THROWS(Error, (void)LockFile::try_lock(path, LockFile::Mode::shared));
    LONGS_EQUAL(0, owner_of(roots));
}
