#include "lib/wal/xlogdb.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

// Writes half of what it is given, then has no room left; fails the sync when told to.
class FullDisk : public Files {
  public:
    bool fail_sync = false;
    void append(int fd, ByteSpan data, const Path& path) override {
        Files::append(fd, fail_sync ? data : data.first(data.size() / 2), path);
        if (!fail_sync) throw Error::from_errno(ENOSPC, "cannot write to file", path.string());
    }
    void sync_data(int, const Path& path) override {
        throw Error::from_errno(ENOSPC, "cannot sync file", path.string());
    }
};

XlogLine line(const char* name, const char* compression = "") {
    return {name, 16303, WallTime(std::chrono::microseconds(1795467356624925)), compression, ""};
}

}  // namespace

TEST_GROUP(Xlogdb) {
    Path directory;
    Path path;
    void setup() override {
        char name[] = "/tmp/coffer-xlogdb-XXXXXX";
        directory = ::mkdtemp(name);
        path = directory / "xlog.db";
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
};

TEST(Xlogdb, WritesLinesAsBarmanDoes) {
    const XlogLine lines[] = {line("000000010000000000000001", "gzip"), line("00000002.history")};
    append_xlogdb(path, std::span(lines).first(1));
    append_xlogdb(path, std::span(lines).last(1));
    STRCMP_EQUAL(
        "000000010000000000000001\t16303\t1795467356.624925\tgzip\n"
        "00000002.history\t16303\t1795467356.624925\tNone\n",
        read_file(path)->c_str());
}

TEST(Xlogdb, ReadsLinesOfEveryVersionOfBarman) {
    const auto old = XlogLine::parse("000000020002E59C000000BC        3089819 1615159937.4639714      pybzip2");
    CHECK(old.has_value());
    STRCMP_EQUAL("pybzip2", old->compression.c_str());
    LONGS_EQUAL(3089819, old->size);
    LONGLONGS_EQUAL(1615159937463972, old->modified.time_since_epoch().count());
    const auto plain = XlogLine::parse("000000010000000000000001.00000028.backup\t300\t1615159937\tNone\tNone");
    CHECK(plain.has_value());
    STRCMP_EQUAL("", plain->compression.c_str());
    STRCMP_EQUAL("", plain->encryption.c_str());
    STRCMP_EQUAL("gpg", XlogLine::parse("00000002.history\t3\t1.5\tgzip\tgpg")->encryption.c_str());
    STRCMP_EQUAL("00000002.history\t3\t1.500000\tgzip\tgpg\n",
                 XlogLine::parse("00000002.history\t3\t1.5\tgzip\tgpg")->format().c_str());
}

TEST(Xlogdb, RefusesLinesThatAreNone) {
    for (const char* text : {"", "x", "000000010000000000000001\t5\t1.5", "000000010000000000000001\tx\t1.5\tNone",
                             "000000010000000000000001\t5\tnan\tNone", "000000010000000000000001\t5\t1e300\tNone",
                             "../../etc/passwd\t5\t1.5\tNone", "000000010000000000000001\t5\t1.5\tNone\tNone\tmore",
                             "000000010000000000000001.tmp\t5\t1.5\tNone", "000000010000000000000001\t-5\t1.5\tNone"}) {
        CHECK_TEXT(!XlogLine::parse(text).has_value(), text);
    }
}

TEST(Xlogdb, CountsTornLinesAndGoesOn) {
    write_file_durably(path,
                       "000000010000000000000001\t1\t1.5\tNone\nrubbish\n"
                       "000000010000000000000002\t2\t1.5\tNone\n000000010000000000000003\t3\t1.5\tNone");
    const XlogContent content = read_xlogdb(path);
    LONGS_EQUAL(2, content.lines.size());
    LONGS_EQUAL(2, content.unreadable);
    LONGS_EQUAL(0, read_xlogdb(directory / "none").lines.size());
}

TEST(Xlogdb, BeginsANewLineBehindATornOne) {
    write_file_durably(path, "00000001000000000");
    const XlogLine lines[] = {line("000000010000000000000001")};
    append_xlogdb(path, lines);
    LONGS_EQUAL(1, read_xlogdb(path).lines.size());
}

TEST(Xlogdb, IsAsBeforeWhenTheDiskIsFull) {
    const XlogLine lines[] = {line("000000010000000000000001"), line("000000010000000000000002")};
    append_xlogdb(path, std::span(lines).first(1));
    const std::string before = read_file(path).value();
    for (const bool fail_sync : {false, true}) {
        FullDisk disk;
        disk.fail_sync = fail_sync;
        const ScopedFiles scope(disk);
        try {
            append_xlogdb(path, std::span(lines).last(1));
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::no_space);
        }
        CHECK(read_file(path).value() == before);
    }
}

TEST(Xlogdb, PutsLinesInTheOrderOfNamesAndKeepsTheLastOfEach) {
    const std::vector<XlogLine> lines{
        line("000000010000000000000003"), line("000000010000000000000006"),
        line("000000010000000000000004"), line("000000020000000000000008"),
        line("00000002.history"),         line("000000010000000000000003.00000028.backup"),
        line("000000010000000000000001"), line("000000010000000000000004", "zstd"),
    };
    append_xlogdb(path, lines);
    order_xlogdb(path);
    std::string names;
    for (const XlogLine& each : read_xlogdb(path).lines) names += each.name + " " + each.compression + "\n";
    STRCMP_EQUAL(
        "000000010000000000000001 \n000000010000000000000003 \n000000010000000000000003.00000028.backup \n"
        "000000010000000000000004 zstd\n000000010000000000000006 \n00000002.history \n"
        "000000020000000000000008 \n",
        names.c_str());
}

TEST(Xlogdb, IsNotWrittenAnewWhereItIsInOrder) {
    const XlogLine lines[] = {line("000000010000000000000001"), line("000000010000000000000002"),
                              line("000000010000000000000001.00000028.backup")};
    const auto number = [this] {
        struct stat status {};
        ::stat(path.c_str(), &status);
        return status.st_ino;
    };
    order_xlogdb(path);
    CHECK(!std::filesystem::exists(path));
    CHECK(ends_before(path, lines[0].name));
    append_xlogdb(path, std::span(lines).first(2));
    const auto first = number();
    order_xlogdb(path);
    CHECK(first == number());
    CHECK(ends_before(path, "000000010000000000000003"));
    CHECK(!ends_before(path, lines[2].name));
    append_xlogdb(path, std::span(lines).last(1));
    order_xlogdb(path);
    CHECK(first != number());
}

TEST(Xlogdb, LosesATornLineWhenItIsPutInOrder) {
    write_file_durably(path, "000000010000000000000001\t1\t1.5\tNone\n0000000100000");
    CHECK(!ends_before(path, "000000010000000000000002"));
    order_xlogdb(path);
    LONGS_EQUAL(1, read_xlogdb(path).lines.size());
    LONGS_EQUAL(0, read_xlogdb(path).unreadable);
}

TEST(Xlogdb, KeepsToTheNameThatIsThere) {
    config::Server server;
    server.name = "main";
    server.wals_directory = directory;
    server.xlogdb_directory = directory;
    CHECK(xlogdb_path(server) == directory / "xlog.db");
    write_file_durably(directory / "main-xlog.db", "");
    CHECK(xlogdb_path(server) == directory / "main-xlog.db");
    server.xlogdb_directory = directory / "elsewhere";
    CHECK(xlogdb_path(server) == directory / "elsewhere" / "main-xlog.db");
}

TEST(Xlogdb, DescribesAFileByItsMagic) {
    const Path file = directory / "000000010000000000000001";
    write_file_durably(file, std::string_view("\x28\xb5\x2f\xfd....", 8));
    const auto described = describe_archived(file);
    CHECK(described.has_value());
    STRCMP_EQUAL("zstd", described->compression.c_str());
    STRCMP_EQUAL("000000010000000000000001", described->name.c_str());
    LONGS_EQUAL(8, described->size);
    CHECK(!describe_archived(directory / "none").has_value());
}
