#include "lib/restore/target_files.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

constexpr uid_t somebody = 12345;

struct stat status_of(const Path& path) {
    struct stat status {};
    LONGS_EQUAL(0, ::lstat(path.c_str(), &status));
    return status;
}

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

TEST_GROUP(TargetFiles) {
    Path root;
    void setup() override {
        char name[] = "/tmp/coffer-target-XXXXXX";
        root = real_path(::mkdtemp(name));
        fs::create_directory(root / "elsewhere");
        fs::permissions(root / "elsewhere", fs::perms(0755));
    }
    void teardown() override {
        fs::remove_all(root);
    }
    void check_untouched() const {
        UNSIGNED_LONGS_EQUAL(0755, status_of(root / "elsewhere").st_mode & 07777);
        UNSIGNED_LONGS_EQUAL(::geteuid(), status_of(root / "elsewhere").st_uid);
        CHECK(fs::is_empty(root / "elsewhere"));
    }
    static std::optional<Owner> owner() {
        return ::geteuid() == 0 ? std::optional<Owner>(Owner{somebody, somebody}) : std::nullopt;
    }
};

TEST(TargetFiles, HaveThePrivateModesOfPostgresAndTheOwner) {
    fs::create_directory(root / "there");
    for (const char* name : {"there", "new"}) {
        make_directory(root / name, owner());
        create_file(root / name / "file", owner());
        make_link("/nowhere", root / name / "link", owner());
        UNSIGNED_LONGS_EQUAL(0700, status_of(root / name).st_mode & 07777);
        UNSIGNED_LONGS_EQUAL(0600, status_of(root / name / "file").st_mode & 07777);
        if (!owner()) continue;
        for (const Path& path : {root / name, root / name / "file", root / name / "link"}) {
            UNSIGNED_LONGS_EQUAL(somebody, status_of(path).st_uid);
        }
    }
}

TEST(TargetFiles, NeverFollowALinkThatTookThePlaceOfADirectory) {
    fs::create_symlink(root / "elsewhere", root / "base");
    CHECK(code_of([&] { make_directory(root / "base", owner()); }) == ErrorCode::refused);
    CHECK(code_of([&] { make_directory(root / "base/5", owner()); }) == ErrorCode::refused);
    CHECK(code_of([&] { create_file(root / "base/file", owner()); }) == ErrorCode::refused);
    CHECK(code_of([&] { make_link("/nowhere", root / "base/link", owner()); }) == ErrorCode::refused);
    check_untouched();
}

TEST(TargetFiles, AreReadAndRemovedWithoutFollowingALink) {
    fs::create_directories(root / "precious/within");
    write_file_durably(root / "precious/file", "mine");
    fs::create_symlink(root / "precious", root / "base");
    CHECK(code_of([&] { read_target(root / "base/file", 100); }) == ErrorCode::refused);
    CHECK(code_of([&] { remove_file(root / "base/file"); }) == ErrorCode::refused);
    CHECK(code_of([&] { remove_directory(root / "base/within"); }) == ErrorCode::refused);
    CHECK(fs::exists(root / "precious/file") && fs::exists(root / "precious/within"));
    CHECK(read_target(root / "precious/file", 100) == "mine");
    CHECK(read_target(root / "precious/file", 2) == "mi");
    CHECK(!read_target(root / "precious/nothing", 100) && !read_target(root / "precious/file/below", 100));
    for (int twice = 0; twice < 2; ++twice) remove_directory(root / "precious/within");
    CHECK(!fs::exists(root / "precious/within"));
    CHECK_THROWS(Error, remove_directory(root / "precious"));
}

TEST(TargetFiles, AreNew) {
    write_file_durably(root / "file", "mine");
    fs::create_symlink(root / "elsewhere/made", root / "link");
    CHECK_THROWS(Error, create_file(root / "file", owner()));
    CHECK_THROWS(Error, create_file(root / "link", owner()));
    CHECK_THROWS(Error, make_directory(root / "file", owner()));
    STRCMP_EQUAL("mine", read_file(root / "file")->c_str());
    check_untouched();
}
