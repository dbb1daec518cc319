#include "lib/restore/unpack.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include <cstdlib>
#include <fstream>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/image/manifest_writer.h"
#include "lib/wal/codec.h"
#include "tests/unit/lib/image/tar_fixture.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t page_size = 8192;

std::string page(char fill) {
    return std::string(page_size, fill);
}

// Of one block.
std::string increment(std::uint32_t truncation, std::uint32_t block, char fill) {
    std::string text;
    for (const std::uint32_t number : {0xd3ae1f0dU, 1U, truncation, block})
        text.append(reinterpret_cast<const char*>(&number), sizeof number);
    text.resize(page_size);
    return text + page(fill);
}

}  // namespace

// A server with two backups: a full one in tar format, and an increment on it.
TEST_GROUP(Unpack) {
    Path root;
    config::Server server;
    catalogue::BackupInfo full, child;
    CopyControl control;
    const std::vector<TarEntry> full_files{{"backup_label", AE_IFREG, "START WAL LOCATION\n"},
                                           {"base", AE_IFDIR, {}},
                                           {"base/5", AE_IFDIR, {}},
                                           {"base/5/100", AE_IFREG, page('a') + page('b') + page('c')},
                                           {"base/5/200", AE_IFREG, page('d')},
                                           {"base/6", AE_IFDIR, {}},
                                           {"base/6/300", AE_IFREG, page('e')},
                                           {"pg_wal", AE_IFDIR, {}},
                                           {"pg_wal/archive_status", AE_IFDIR, {}},
                                           {"postmaster.opts", AE_IFREG, "options"},
                                           {"postgresql.auto.conf", AE_IFREG, "port = 1\n"},
                                           {"global", AE_IFDIR, {}},
                                           {"global/pg_control", AE_IFREG, "old control"}};
    const std::vector<TarEntry> child_files{
        {"backup_label", AE_IFREG, "START WAL LOCATION\nINCREMENTAL FROM LSN: 0/1000\nINCREMENTAL FROM TLI: 1\n"},
        {"base/5", AE_IFDIR, {}},
        {"base/5/INCREMENTAL.100", AE_IFREG, increment(2, 3, 'x')},
        {"base/5/200", AE_IFREG, page('y')},
        {"base", AE_IFDIR, {}},
        {"pg_wal", AE_IFDIR, {}},
        {"postgresql.auto.conf", AE_IFREG, "port = 2\n"},
        {"global", AE_IFDIR, {}},
        {"global/pg_control", AE_IFREG, "new control"}};

    void setup() override {
        char name[] = "/tmp/coffer-unpack-XXXXXX";
        root = ::mkdtemp(name);
        server.name = "main";
        server.backup_directory = root / "main";
        server.basebackups_directory = root / "main/base";
        fs::create_directories(root / "to/pg_wal");
        for (catalogue::BackupInfo* const one : {&full, &child}) {
            one->status = catalogue::BackupStatus::done;
            one->systemid = 7;
            one->version = 180000;
            one->begin_xlog = Lsn{0x1000};
        }
        full.backup_id = "20261101T000000";
        full.unknown["compression"] = "gzip";
        child.backup_id = "20261102T000000";
        child.unknown["parent_backup_id"] = full.backup_id;
        child.backup_label = child_files[0].content;
        write_archive(full, "base.tar.gz", wal::Codec::gzip, full_files);
        write_plain(child, child_files);
    }
    void teardown() override {
        fs::remove_all(root);
    }

    [[nodiscard]] Path data_of(const catalogue::BackupInfo& backup) const {
        return server.basebackups_directory / backup.backup_id / "data";
    }
    void record(const catalogue::BackupInfo& backup, const std::vector<TarEntry>& entries) const {
        catalogue::Catalogue(server).save(backup);
        fs::remove(data_of(backup) / "backup_manifest");
        image::ManifestWriter manifest(data_of(backup) / "backup_manifest", 7);
        for (const TarEntry& one : entries) {
            if (one.type != AE_IFREG) continue;
            manifest.add({one.path, one.content.size(), "2026-11-01 00:00:00 GMT", "CRC32C",
                          image::manifest_crc32c(crc32c(as_byte_span(one.content)))});
        }
        manifest.finish({});
    }
    void write_archive(const catalogue::BackupInfo& backup, const char* name, wal::Codec codec,
                       const std::vector<TarEntry>& entries) const {
        fs::create_directories(data_of(backup));
        const UniqueFd fd = files().open(data_of(backup) / name, O_WRONLY | O_CREAT | O_TRUNC);
        wal::compress_to(fd.get(), as_byte_span(make_tar(entries)), codec, 1, name);
        record(backup, entries);
    }
    void write_plain(const catalogue::BackupInfo& backup, const std::vector<TarEntry>& entries) const {
        for (const TarEntry& one : entries) {
            const Path path = data_of(backup) / one.path;
            fs::create_directories(one.type == AE_IFDIR ? path : path.parent_path());
            if (one.type == AE_IFREG) std::ofstream(path) << one.content;
        }
        record(backup, entries);
    }
    void unpack_now(const catalogue::BackupInfo& backup, bool verify = true) const {
        const BackupChain chain = chain_of(catalogue::Catalogue(server), backup, verify);
        unpack({chain,
                root / "to",
                {},
                [](const std::string& path) {
                    return path == "postmaster.opts" || path == "global/pg_control" || path == "postgresql.auto.conf" ||
                           path.starts_with("pg_wal/");
                }},
               control);
    }
    [[nodiscard]] std::string content(const char* path) const {
        return read_file(root / "to" / path).value_or("(absent)");
    }
    std::string refusal(const catalogue::BackupInfo& backup) const {
        try {
            unpack_now(backup);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }
};

TEST(Unpack, AnArchiveBecomesItsFiles) {
    unpack_now(full);
    STRCMP_EQUAL((page('a') + page('b') + page('c')).c_str(), content("base/5/100").c_str());
    STRCMP_EQUAL("old control", content(hidden_control_file).c_str());
    STRCMP_EQUAL("port = 1\n", content("postgresql.auto.conf").c_str());
    CHECK_FALSE(fs::exists(root / "to/global/pg_control"));
    CHECK_FALSE(fs::exists(root / "to/postmaster.opts"));
    CHECK_FALSE(fs::exists(root / "to/pg_wal/archive_status"));
    CHECK_TRUE(fs::exists(root / "to/backup_manifest"));
}

TEST(Unpack, EveryCompressionOfBarmansIsRead) {
    const std::vector<std::pair<const char*, wal::Codec>> forms{
        {"base.tar", wal::Codec::none}, {"base.tar.lz4", wal::Codec::lz4}, {"base.tar.zst", wal::Codec::zstd}};
    for (const auto& [name, codec] : forms) {
        fs::remove_all(data_of(full));
        fs::remove_all(root / "to/base");
        fs::remove_all(root / "to/global");
        for (const char* file : {"backup_label", "postgresql.auto.conf", "backup_manifest"})
            fs::remove(root / "to" / file);
        write_archive(full, name, codec, full_files);
        unpack_now(full);
        STRCMP_EQUAL(page('d').c_str(), content("base/5/200").c_str());
    }
}

TEST(Unpack, AnIncrementIsPutOverTheBackupThatItNeeds) {
    unpack_now(child);
    // Two blocks of the earlier file, none that it lost, zeros in between, and the block that is new.
    CHECK_EQUAL(page('a') + page('b') + page('\0') + page('x'), content("base/5/100"));
    CHECK_EQUAL(page('y'), content("base/5/200"));
    STRCMP_EQUAL("START WAL LOCATION\n", content("backup_label").c_str());
    STRCMP_EQUAL("new control", content(hidden_control_file).c_str());
    STRCMP_EQUAL("port = 2\n", content("postgresql.auto.conf").c_str());
    CHECK_FALSE(fs::exists(root / "to/base/6"));           // a database that was dropped
    CHECK_FALSE(fs::exists(root / "to/backup_manifest"));  // of the increment only
}

TEST(Unpack, AnIncrementOnAPlainBackupIsPutOverItsCopy) {
    fs::remove_all(data_of(full));
    full.unknown.erase("compression");
    write_plain(full, full_files);
    unpack_now(child);
    CHECK_EQUAL(page('a') + page('b') + page('\0') + page('x'), content("base/5/100"));
    CHECK_EQUAL(page('a') + page('b') + page('c'), read_file(data_of(full) / "base/5/100").value_or(""));
    STRCMP_EQUAL("START WAL LOCATION\n", content("backup_label").c_str());
    STRCMP_EQUAL("new control", content(hidden_control_file).c_str());
    CHECK_FALSE(fs::exists(root / "to/base/6"));
}

TEST(Unpack, AByteThatFlippedIsNamedWithItsFileAndBackup) {
    std::ofstream(data_of(child) / "base/5/200") << page('z');
    const std::string said = refusal(child);
    STRCMP_CONTAINS("20261102T000000", said.c_str());
    STRCMP_CONTAINS("checksum differs", said.c_str());
}

TEST(Unpack, AFileThatIsMissingIsTold) {
    fs::remove(data_of(child) / "base/5/200");
    STRCMP_CONTAINS("missing", refusal(child).c_str());
}

TEST(Unpack, AnArchiveThatLeadsOutOfTheDirectoryIsRefused) {
    for (const TarEntry& evil : {TarEntry{"../outside", AE_IFREG, "x"}, TarEntry{"base/5/100", AE_IFLNK, "/etc/passwd"},
                                 TarEntry{"base", AE_IFCHR, {}}}) {
        write_archive(full, "base.tar.gz", wal::Codec::gzip, {{"base", AE_IFDIR, {}}, evil});
        STRCMP_CONTAINS("archive holds", refusal(full).c_str());
        CHECK_FALSE(fs::exists(root / "outside"));
    }
}

TEST(Unpack, AnArchiveThatIsCutOffIsRefused) {
    const Path archive = data_of(full) / "base.tar.gz";
    fs::resize_file(archive, fs::file_size(archive) - 20);
    CHECK_FALSE(refusal(full).empty());
}

TEST(Unpack, AChainIsOnlyWhatWasMadeFromOneAnother) {
    child.backup_label = "INCREMENTAL FROM LSN: 0/2000\n";
    STRCMP_CONTAINS("it was made from a backup that began at 0/2000, not at 0/1000", refusal(child).c_str());
    child.backup_label.clear();
    full.status = catalogue::BackupStatus::failed;
    catalogue::Catalogue(server).save(full);
    STRCMP_CONTAINS("that is FAILED", refusal(child).c_str());
    child.unknown["parent_backup_id"] = "20200101T000000";
    STRCMP_CONTAINS("needs 20200101T000000, which is not there", refusal(child).c_str());
    full.unknown["encryption"] = "gpg";
    STRCMP_CONTAINS("encrypted", refusal(full).c_str());
}

TEST(Unpack, RoomIsEstimatedFromTheManifests) {
    const BackupChain chain = chain_of(catalogue::Catalogue(server), child, true);
    Tree data;
    estimate(chain, {&data});
    UNSIGNED_LONGS_EQUAL(5, data.files);
    CHECK_TRUE(data.bytes >= 4 * page_size);  // of the file that grew, at least what it was
}
