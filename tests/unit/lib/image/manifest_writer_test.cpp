#include "lib/image/manifest_writer.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::image;

TEST_GROUP(ManifestWriter) {
    Path directory, path;
    void setup() override {
        char name[] = "/tmp/coffer-manifest-XXXXXX";
        directory = ::mkdtemp(name);
        path = directory / "backup_manifest";
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }

    std::vector<ManifestFile> read(ManifestHead & head) {
        std::vector<ManifestFile> found;
        head = read_manifest(path, [&](const ManifestFile& file) { found.push_back(file); });
        return found;
    }
};

TEST(ManifestWriter, WritesWhatCanBeReadAgain) {
    for (const std::optional<std::uint64_t> system :
         {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(7)}) {
        ManifestWriter writer(path, system);
        writer.add({"base/5/1", 8192, "2026-11-27 20:00:00 GMT", "CRC32C", "0a0b0c0d"});
        writer.add({"odd \"name\"\n", 1, "x", "SHA256", "ff"});
        writer.add({"no utf8 \xff", 0, "x", "", ""});
        const std::string checksum = writer.finish({{1, Lsn{0x2000028}, Lsn{0x2000100}}, {2, Lsn{1}, Lsn{2}}});
        ManifestHead head;
        const auto files = read(head);
        STRCMP_EQUAL(checksum.c_str(), head.checksum.c_str());
        CHECK(head.system_identifier == system);
        UNSIGNED_LONGS_EQUAL(system ? 2 : 1, head.version);
        UNSIGNED_LONGS_EQUAL(2, head.wal_ranges.size());
        CHECK(head.wal_ranges[0].begin == Lsn{0x2000028} && head.wal_ranges[1].timeline == 2);
        UNSIGNED_LONGS_EQUAL(3, files.size());
        STRCMP_EQUAL("base/5/1", files[0].path.c_str());
        STRCMP_EQUAL("2026-11-27 20:00:00 GMT", files[0].modified.c_str());
        CHECK(crc32c_of(files[0]) == std::optional(0x0d0c0b0aU));
        STRCMP_EQUAL("odd \"name\"\n", files[1].path.c_str());
        CHECK(!crc32c_of(files[1]));
        STRCMP_EQUAL("no utf8 \xff", files[2].path.c_str());
    }
}

TEST(ManifestWriter, LeavesNothingUnlessItIsFinished) {
    write_file_durably(path, "old");
    {
        ManifestWriter writer(path, 7);
        writer.add({"base/5/1", 8192, "x", "CRC32C", "0a0b0c0d"});
    }
    STRCMP_EQUAL("old", read_file(path)->c_str());
    CHECK(std::distance(std::filesystem::directory_iterator(directory), {}) == 1);
}

TEST(ManifestWriter, ChangesSomeFilesOfAManifest) {
    {
        ManifestWriter writer(path, 7);
        writer.add({"base/5/INCREMENTAL.1", 8192, "then", "CRC32C", "0a0b0c0d"});
        writer.add({"base/5/2", 3, "then", "CRC32C", "01020304"});
        (void)writer.finish({{1, Lsn{1}, Lsn{2}}});
    }
    const std::string checksum = change_manifest(path, {{"base/5/INCREMENTAL.1", {"base/5/1", 99, 0x11223344}}});
    ManifestHead head;
    const auto files = read(head);
    STRCMP_EQUAL(checksum.c_str(), head.checksum.c_str());
    CHECK(head.system_identifier == std::optional<std::uint64_t>(7));
    STRCMP_EQUAL("base/5/1", files[0].path.c_str());
    UNSIGNED_LONGS_EQUAL(99, files[0].size);
    CHECK(crc32c_of(files[0]) == std::optional(0x11223344U));
    STRCMP_EQUAL("then", files[0].modified.c_str());
    UNSIGNED_LONGS_EQUAL(3, files[1].size);
}
