#include "lib/wal/source_file.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

using namespace coffer;
using namespace coffer::wal;

TEST_GROUP(SourceFile) {
    Path directory;
    Path path;
    void setup() override {
        char name[] = "/tmp/coffer-source-XXXXXX";
        directory = ::mkdtemp(name);
        path = directory / "000000010000000000000001";
        write_file_durably(path, "first");
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
};

TEST(SourceFile, HasNothingInMemoryBeforeItIsRead) {
    SourceFile file = SourceFile::open(path).value();
    LONGS_EQUAL(5, file.size());
    LONGS_EQUAL(0, file.bytes().size());
    const UniqueFd fd = files().open(path, O_WRONLY);
    files().write_at(fd.get(), as_byte_span("later and longer"), 0, path);
    file.read();
    STRCMP_EQUAL("later", std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()).c_str());
    CHECK(!file.unchanged());
    file.release_bytes();
    LONGS_EQUAL(0, file.bytes().size());
    LONGS_EQUAL(5, file.size());
}

TEST(SourceFile, EndsWhereTheFileWasCutMeanwhile) {
    SourceFile file = SourceFile::open(path).value();
    std::filesystem::resize_file(path, 2);
    file.read();
    LONGS_EQUAL(2, file.bytes().size());
    CHECK(!SourceFile::open(directory / "none").has_value());
}

TEST(SourceFile, ReadsIntoTheMemoryOfAnEarlierOne) {
    SourceFile file = SourceFile::open(path).value();
    file.read();
    const std::byte* const memory = file.bytes().data();
    file.release_bytes();
    write_file_durably(path, "2nd");
    SourceFile next = SourceFile::open(path).value();
    next.read();
    POINTERS_EQUAL(memory, next.bytes().data());
    STRCMP_EQUAL("2nd", std::string(reinterpret_cast<const char*>(next.bytes().data()), next.bytes().size()).c_str());
    // Not while that one is in use.
    SourceFile third = SourceFile::open(path).value();
    third.read();
    CHECK(next.bytes().data() != third.bytes().data());
    next.release_bytes();
    SourceFile::drop_kept_memory();
}
