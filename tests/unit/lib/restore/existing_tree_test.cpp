#include "lib/restore/existing_tree.h"

#include <CppUTest/TestHarness.h>

#include <fstream>

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

TEST_GROUP(ExistingTree) {
    Path root;
    Tree tree;
    void setup() override {
        char name[] = "/tmp/coffer-existing-XXXXXX";
        root = ::mkdtemp(name);
        tree.target = root / "to";
        tree.entries = {{"base", 0, true}, {"base/1", 8192, false}, {"base/2", 10, false}, {"base/3", 10, false}};
        tree.spared = {"marker", "spaces/kept"};
        put("to/base/1", std::string(4096, 'x'));
        put("outside", "precious");
    }
    void teardown() override {
        fs::remove_all(root);
    }
    void put(const Path& path, const std::string& content) const {
        fs::create_directories((root / path).parent_path());
        std::ofstream(root / path) << content;
    }
    bool there(const char* path) const {
        return fs::exists(fs::symlink_status(root / "to" / path));
    }
};

TEST(ExistingTree, RemovesWhatIsNotWantedAndSparesTheRest) {
    put("to/marker", "stays");
    put("to/spaces/kept/file", "stays");
    put("to/spaces/other", "goes");
    put("to/base/9", "12345");
    put("to/gone/deep/file", "123");
    const Existing survey = survey_existing(tree);
    CHECK(there("base/9") && there("gone/deep/file"));
    const Existing done = remove_surplus(tree, {});
    UNSIGNED_LONGS_EQUAL(1, done.kept_files);
    UNSIGNED_LONGS_EQUAL(3, done.surplus_files);
    UNSIGNED_LONGS_EQUAL(12, done.surplus_bytes);
    UNSIGNED_LONGS_EQUAL(survey.surplus_bytes, done.surplus_bytes);
    UNSIGNED_LONGS_EQUAL(survey.freed_space, done.freed_space);
    CHECK(done.freed_space > 0 && done.kept_space > 0);
    for (const char* path : {"marker", "spaces/kept/file", "base/1"}) CHECK_TEXT(there(path), path);
    for (const char* path : {"spaces/other", "base/9", "gone"}) CHECK_TEXT(!there(path), path);
}

TEST(ExistingTree, RemovesLinksAndWrongKindsWithoutFollowingThem) {
    fs::create_symlink(root / "outside", root / "to/base/2");
    fs::create_directory_symlink(root, root / "to/link");
    fs::create_directories(root / "to/base/3/within");
    fs::create_hard_link(root / "outside", root / "to/surplus");
    remove_surplus(tree, {});
    for (const char* path : {"base/2", "link", "base/3", "surplus"}) CHECK_TEXT(!there(path), path);
    CHECK(read_file(root / "outside") == "precious");
}

TEST(ExistingTree, KeepsNoFileThatHasAnotherName) {
    fs::create_hard_link(root / "outside", root / "to/base/2");
    const Existing done = remove_surplus(tree, {});
    UNSIGNED_LONGS_EQUAL(1, done.kept_files);
    UNSIGNED_LONGS_EQUAL(0, done.surplus_files);
    CHECK(!there("base/2"));
}

TEST(ExistingTree, RemovesADirectoryWithAllThatIsInIt) {
    put("to/gone/deep/file", "123");
    remove_tree(root / "to/gone");
    remove_tree(root / "to/gone");
    CHECK(!there("gone"));
    fs::create_directory_symlink(root, root / "to/link");
    remove_tree(root / "to/link");
    CHECK(!there("link") && fs::exists(root / "outside"));
}
