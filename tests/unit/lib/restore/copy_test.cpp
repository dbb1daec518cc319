#include "lib/restore/copy.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "lib/base/crc32c.h"
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

TEST(CopyTree, FindsAFileThatBecameShorter) {
    put(root / "from/plain", std::string(10000, 'x'));
    put(root / "from/sparse", std::string(10000, 'x'));
    fs::resize_file(root / "from/sparse", 1 << 20);
    for (const auto& [name, size] : {std::pair("plain", 10001), std::pair("sparse", (1 << 20) + 1)}) {
        fs::remove_all(root / "to");
        fs::create_directory(root / "to");
        Tree tree;
        tree.source = root / "from";
        tree.target = root / "to";
        tree.entries = {{name, static_cast<std::uint64_t>(size), false}};
        std::string told;
        try {
            copy_trees({tree}, {});
        } catch (const Error& error) {
            told = error.what();
        }
        CHECK_TEXT(told.find("became shorter") != std::string::npos, name);
        tree.entries[0].size -= 1;
        fs::remove(root / "to" / name);
        copy_trees({tree}, {});
        CHECK_TEXT(read_file(root / "to" / name) == read_file(root / "from" / name), name);
    }
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

TEST(CopyTree, KeepsHolesAndTheChecksumOfALargeFile) {
    fs::create_directories(root / "from");
    fs::create_directories(root / "to");
    std::ofstream file(root / "from/large");
    file << "begin";
    file.seekp(130 << 20);
    file << "middle";
    file.close();
    fs::resize_file(root / "from/large", 140 << 20);
    Tree tree = list_tree(root / "from", root / "to", nullptr);
    const std::string content = *read_file(root / "from/large");
    tree.entries[0].crc32c = crc32c(as_byte_span(content));
    CopyControl control;
    control.jobs = 3;
    copy_trees({tree}, control);
    CHECK(read_file(root / "to/large") == content);
    struct stat status {};
    ::stat((root / "to/large").c_str(), &status);
    CHECK(status.st_blocks * 512 < 4 << 20);
    fs::remove(root / "to/large");
    *tree.entries[0].crc32c ^= 1;
    try {
        copy_trees({tree}, control);
        FAIL("must be corrupt");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::corrupt);
    }
}

TEST(CopyTree, MakesHolesOfFilesThatAreLeftOut) {
    put(root / "from/a", "content");
    put(root / "to/a", "what was there");
    Tree tree = list_tree(root / "from", root / "to", nullptr);
    tree.entries[0].zeros = true;
    DeltaCounts counts;
    CopyControl control;
    control.delta = &counts;
    copy_trees({tree}, control);
    CHECK(read_file(root / "to/a") == std::string(7, '\0'));
    UNSIGNED_LONGS_EQUAL(0, counts.read.load());
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

TEST_GROUP(CopyOntoFiles) {
    Path root = scratch();
    DeltaCounts counts;
    CopyControl control;
    void setup() override {
        fs::create_directories(root / "from");
        fs::create_directories(root / "to");
        control.delta = &counts;
    }
    void teardown() override {
        fs::remove_all(root);
    }
    void copy() {
        Tree tree = list_tree(root / "from", root / "to", nullptr);
        for (TreeEntry& entry : tree.entries) {
            const std::string content = *read_file(root / "from" / entry.path);
            entry.crc32c = crc32c(as_byte_span(content));
        }
        copy_trees({tree}, control);
        for (const TreeEntry& entry : tree.entries) {
            CHECK_TEXT(read_file(root / "to" / entry.path) == read_file(root / "from" / entry.path),
                       entry.path.c_str());
            UNSIGNED_LONGS_EQUAL(0600, mode_of(root / "to" / entry.path));
        }
    }
    static std::string pages(const std::string& letters) {
        std::string text;
        for (const char letter : letters) text += std::string(8192, letter);
        return text;
    }
};

// On a file system without reflinks, as the temporary directory mostly is; with them everything is shared.
TEST(CopyOntoFiles, WritesOnlyPagesThatDiffer) {
    const struct {
        const char* source;
        const char* there;
        std::uint64_t written;
    } cases[] = {{"abcd", "abcd", 0}, {"abcd", "axcd", 1}, {"abcd", "xbcx", 2}, {"abcd", "xxxx", 4},
                 {"abcd", "ab", 2},   {"ab", "abcd", 0},   {"", "abcd", 0},     {"ab", "", 2}};
    for (const auto& c : cases) {
        put(root / "from/file", pages(c.source));
        put(root / "to/file", pages(c.there));
        counts.written = counts.equal = counts.read = counts.shared = 0;
        copy();
        if (counts.shared > 0) continue;
        UNSIGNED_LONGS_EQUAL(c.written * 8192, counts.written.load());
        UNSIGNED_LONGS_EQUAL(counts.read.load(), counts.written + counts.equal);
    }
}

TEST(CopyOntoFiles, ComparesALargeFileInRanges) {
    std::string text = pages("a");
    put(root / "from/file", text);
    fs::resize_file(root / "from/file", (65 << 20) + 100);
    fs::copy_file(root / "from/file", root / "to/file");
    std::fstream file(root / "to/file", std::ios::in | std::ios::out);
    file.seekp(64 << 20);
    file << "damage";
    file.close();
    control.jobs = 2;
    copy();
    if (counts.shared == 0) UNSIGNED_LONGS_EQUAL(8192, counts.written.load());
}

TEST(CopyOntoFiles, LeavesWhatIsBehindAHardLinkOrASymbolicOne) {
    for (const char* name : {"hard", "soft", "plain", "locked"}) put(root / "from" / name, "new");
    put(root / "victim", "old");
    fs::create_hard_link(root / "victim", root / "to/hard");
    fs::create_symlink(root / "victim", root / "to/soft");
    put(root / "to/locked", "old");
    fs::permissions(root / "to/locked", fs::perms::none);
    copy();
    CHECK(read_file(root / "victim") == "old");
    CHECK(!fs::is_symlink(root / "to/soft"));
}
