#include "lib/image/tree_writer.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

#include <cstring>
#include <set>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "tests/unit/lib/image/tar_fixture.h"

using namespace coffer;
using namespace coffer::image;

TEST_GROUP(TreeWriter) {
    Path directory;
    void setup() override {
        char name[] = "/tmp/coffer-tree-XXXXXX";
        directory = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }

    static TarReader reader_of(const std::string& tar, std::size_t piece) {
        return TarReader([&tar, piece, at = std::size_t{0}]() mutable {
            const std::string_view part = std::string_view(tar).substr(std::min(at, tar.size()), piece);
            at += part.size();
            return as_byte_span(part);
        });
    }
    ErrorCode refusal(const std::vector<TarEntry>& entries) {
        const std::string tar = make_tar(entries);
        TreeWriter writer(directory, std::nullopt);
        writer.begin_archive(std::nullopt);
        TarReader reader = reader_of(tar, 512);
        try {
            writer.write(reader);
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode::internal;
    }
};

TEST(TreeWriter, MakesAClonesTreeWhatTheServerSent) {
    const auto write = [this](const std::vector<TarEntry>& data, const std::vector<TarEntry>& space) {
        const std::string first = make_tar(space), second = make_tar(data);
        TreeWriter writer(directory, std::nullopt);
        if (!space.empty()) {
            writer.begin_archive(16385);
            TarReader reader = reader_of(first, 1 << 20);
            writer.write(reader);
        }
        writer.begin_archive(std::nullopt);
        TarReader reader = reader_of(second, 1 << 20);
        writer.write(reader);
        writer.remove_surplus();
        return writer.statistics();
    };
    const std::string content(100'000, 'x');
    std::string changed = content;
    changed[20'000] = 'y';
    write({{"base", AE_IFDIR, ""},
           {"base/5", AE_IFDIR, ""},
           {"base/5/1", AE_IFREG, content},
           {"base/5/2", AE_IFREG, content},
           {"base/6", AE_IFDIR, ""},
           {"base/6/1", AE_IFREG, content},
           {"pg_tblspc", AE_IFDIR, ""},
           {"pg_tblspc/16385", AE_IFLNK, "/srv/space"},
           {"was_file", AE_IFREG, "x"}},
          {{"PG_15_202209061", AE_IFDIR, ""}, {"PG_15_202209061/7", AE_IFREG, "y"}});
    write_file_durably(directory / "data/backup_manifest", "stays");
    write_file_durably(directory / "data/base/5/.coffer.2", "left by a crash");
    std::filesystem::create_directory(directory / "16999");
    const auto statistics = write({{"base", AE_IFDIR, ""},
                                   {"base/5", AE_IFDIR, ""},
                                   {"base/5/1", AE_IFREG, changed},
                                   {"base/5/3", AE_IFREG, "new"},
                                   {"pg_tblspc", AE_IFDIR, ""},
                                   {"was_file", AE_IFDIR, ""},
                                   {"was_file/below", AE_IFREG, "z"}},
                                  {});
    UNSIGNED_LONGS_EQUAL(content.size() + 4, statistics.bytes);
    UNSIGNED_LONGS_EQUAL(8192 + 4, statistics.bytes_written);
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
        found.insert(entry.path().lexically_relative(directory).string());
    CHECK(found == (std::set<std::string>{"data", "data/backup_manifest", "data/base", "data/base/5", "data/base/5/1",
                                          "data/base/5/3", "data/pg_tblspc", "data/was_file", "data/was_file/below"}));
    CHECK(*read_file(directory / "data/base/5/1") == changed);
}

TEST(TreeWriter, WritesWhatTheServerSent) {
    const std::string content(20000, 'x');
    const std::string data = make_tar({{"base", AE_IFDIR, ""},
                                       {"base/5", AE_IFDIR, ""},
                                       {"base/5/16384", AE_IFREG, content},
                                       {"./pg_wal", AE_IFDIR, ""},
                                       {"pg_tblspc", AE_IFDIR, ""},
                                       {"pg_tblspc/16385", AE_IFLNK, "/srv/space"},
                                       {"empty", AE_IFREG, ""}});
    const std::string space = make_tar({{"PG_15_202209061", AE_IFDIR, ""}, {"PG_15_202209061/7", AE_IFREG, "y"}});
    for (const std::size_t piece : {std::size_t{1}, std::size_t{512}, std::size_t{3000}, std::size_t{1} << 20}) {
        const Path backup = directory / std::to_string(piece);
        std::filesystem::create_directory(backup);
        TreeWriter writer(backup, std::nullopt);
        writer.begin_archive(16385);
        TarReader first = reader_of(space, piece);
        writer.write(first);
        writer.begin_archive(std::nullopt);
        TarReader second = reader_of(data, piece);
        writer.write(second);
        CHECK(*read_file(backup / "data/base/5/16384") == content);
        CHECK(*read_file(backup / "data/pg_tblspc/16385/PG_15_202209061/7") == "y");
        CHECK(std::filesystem::read_symlink(backup / "data/pg_tblspc/16385") == backup / "16385");
        CHECK(std::filesystem::is_directory(backup / "data/pg_wal"));
        LONGS_EQUAL(3, writer.received().size());
        const ReceivedFile& file = writer.received().at("base/5/16384");
        LONGS_EQUAL(content.size(), file.size);
        LONGS_EQUAL(crc32c(as_byte_span(content)), file.crc32c);
        CHECK(writer.received().count("pg_tblspc/16385/PG_15_202209061/7") == 1);
        struct stat status {};
        ::stat((backup / "data").c_str(), &status);
        LONGS_EQUAL(0700, status.st_mode & 07777);
    }
}

TEST(TreeWriter, RefusesWhatWouldLeadOutOfTheBackup) {
    const std::vector<TarEntry> cases[] = {{{"/etc/passwd", AE_IFREG, "x"}},
                                           {{"../x", AE_IFREG, "x"}},
                                           {{"a/../../x", AE_IFREG, "x"}},
                                           {{"link", AE_IFLNK, "/etc"}},
                                           {{"pg_tblspc", AE_IFDIR, ""}, {"pg_tblspc/..", AE_IFLNK, "/etc"}},
                                           {{"pg_tblspc", AE_IFDIR, ""}, {"pg_tblspc/12x", AE_IFLNK, "/etc"}},
                                           {{"fifo", AE_IFIFO, ""}},
                                           {{"twice", AE_IFREG, "x"}, {"twice", AE_IFREG, "y"}}};
    for (const auto& entries : cases) {
        CHECK(refusal(entries) == ErrorCode::corrupt);
        std::filesystem::remove_all(directory / "data");
    }
}

TEST(TreeWriter, NoticesAnArchiveThatIsCutOff) {
    const std::string tar = make_tar({{"file", AE_IFREG, std::string(5000, 'x')}}).substr(0, 3000);
    TreeWriter writer(directory, std::nullopt);
    writer.begin_archive(std::nullopt);
    TarReader reader = reader_of(tar, 512);
    CHECK_THROWS(Error, writer.write(reader));
}

TEST(TreeWriter, PassesAFailureOfTheSourceThrough) {
    try {
        TarReader reader([]() -> ByteSpan { throw Error(ErrorCode::canceled, "stopped"); });
        (void)reader.next();
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::canceled);
    }
}

TEST(TreeWriter, ReadsAnArchiveWithoutItsEnd) {
    std::string tar = make_tar({{"file", AE_IFREG, std::string(512, 'x')}});
    tar.resize(1024);  // header and content: servers before 15 send no more
    TarReader reader = reader_of(tar, 512);
    CHECK(reader.next().has_value());
    LONGS_EQUAL(512, reader.data().size());
    CHECK(reader.data().empty());
    CHECK(!reader.next().has_value());
}

// A page with this LSN, and no right checksum.
static std::string wrong_page(std::uint32_t lsn) {
    std::string page(page_size, 'w');
    std::memset(page.data(), 0, 4);
    std::memcpy(page.data() + 4, &lsn, sizeof lsn);
    return page;
}

TEST(TreeWriter, SuspectsWrongPagesThatTheBackupsWalCannotMend) {
    const std::string file = wrong_page(99) + wrong_page(100) + wrong_page(200) + wrong_page(201);
    const std::string tar =
        make_tar({{"base", AE_IFDIR, ""}, {"base/5", AE_IFDIR, ""}, {"base/5/7.1", AE_IFREG, file}});
    TreeWriter writer(directory, Lsn{100});
    writer.begin_archive(std::nullopt);
    TarReader reader = reader_of(tar, 5000);
    writer.write(reader);
    LONGS_EQUAL(1, writer.statistics().suspects_total);
    writer.judge_newer_pages(Lsn{200});
    LONGS_EQUAL(2, writer.statistics().suspects_total);
    LONGS_EQUAL(2, writer.statistics().pages_torn_allowed);
    LONGS_EQUAL(2, writer.suspects().size());
    CHECK(writer.suspects()[0].block == 0 && writer.suspects()[0].page_lsn == Lsn{99});
    CHECK(writer.suspects()[1].block == 3 && writer.suspects()[1].page_lsn == Lsn{201});
    CHECK(writer.suspects()[1].file == "base/5/7.1");
}
