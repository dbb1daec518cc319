#include "lib/restore/manifest_check.h"

#include <CppUTest/TestHarness.h>
#include <openssl/sha.h>

#include <cstdlib>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/image/manifest.h"
#include "lib/image/page_checksum.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

std::string sha256(const std::string& text) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
    return fmt::format("{:02x}", fmt::join(digest, digest + sizeof digest, ""));
}

// Three pages of a relation, with their checksums.
std::string relation() {
    std::string pages(3 * image::page_size, 'r');
    for (std::uint32_t block = 0; block < 3; ++block) {
        char* const page = pages.data() + block * image::page_size;
        std::fill(page, page + 8, '\0');  // LSN 0/0
        const auto bytes = std::as_bytes(std::span(page, image::page_size));
        const std::uint16_t sum = image::page_checksum(bytes.first<image::page_size>(), block);
        std::memcpy(page + 8, &sum, sizeof sum);
    }
    return pages;
}

}  // namespace

TEST_GROUP(ManifestCheck) {
    Path root;
    catalogue::BackupInfo backup;
    std::vector<TreeEntry> apart;
    std::vector<std::string> warnings;
    std::string lines;
    Tree data;
    Tree space;

    void setup() override {
        char name[] = "/tmp/coffer-check-XXXXXX";
        root = ::mkdtemp(name);
        backup.data_checksums = true;
        backup.begin_xlog = Lsn{0x1000};
        add("data", "", "base/5/16384", relation());
        add("data", "", "global/pg_control", "control");
        add("data", "", "postgresql.auto.conf", "# settings\n");
        add("space", "pg_tblspc/16400/", "PG_15_202209061/5/16401", "in a tablespace");
        fs::create_directories(root / "to/data");
        fs::create_directories(root / "to/space");
    }
    void teardown() override {
        fs::remove_all(root);
    }
    void add(const std::string& tree, const std::string& prefix, const std::string& path, const std::string& content) {
        fs::create_directories((root / tree / path).parent_path());
        write_file_durably(root / tree / path, content);
        lines += fmt::format(
            "{}{{ \"Path\": \"{}{}\", \"Size\": {}, \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{}\" }}",
            lines.empty() ? "" : ",\n", prefix, path, content.size(),
            image::manifest_crc32c(crc32c(as_byte_span(content))));
    }
    void write_manifest() {
        const std::string text =
            "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n" + lines + "\n],\n\"WAL-Ranges\": [\n],\n";
        write_file_durably(root / "data/backup_manifest", text + "\"Manifest-Checksum\": \"" + sha256(text) + "\"}\n");
    }
    void flip(const Path& path, std::size_t offset) {
        std::string content = *read_file(path);
        content[offset] = static_cast<char>(content[offset] ^ 0x40);
        write_file_durably(path, content);
    }
    bool expect() {
        const auto left_out = [](const std::string& path) {
            return path == "global/pg_control" || path == "postgresql.auto.conf";
        };
        data = list_tree(root / "data", root / "to/data", left_out);
        space = list_tree(root / "space", root / "to/space", nullptr);
        space.prefix = "pg_tblspc/16400/";
        return expect_from_manifest({backup, {&data, &space}, &apart, left_out}, warnings);
    }
    CopyControl control() const {
        CopyControl control;
        control.explain = [this](const Tree& tree, const TreeEntry& entry) {
            return damaged_blocks(backup, tree, entry);
        };
        return control;
    }
    std::string refusal(const std::function<void()>& action) {
        try {
            action();
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
            return error.full_text();
        }
        return {};
    }
};

TEST(ManifestCheck, AWholeBackupIsCopied) {
    write_manifest();
    CHECK(expect());
    UNSIGNED_LONGS_EQUAL(2, apart.size());
    CHECK(warnings.empty());
    copy_trees({data, space}, control());
    CHECK(read_file(root / "to/data/base/5/16384") == relation());
    for (const TreeEntry& entry : apart) copy_file(data, entry, root / "to" / Path(entry.path).filename(), control());
}

TEST(ManifestCheck, AFlippedByteStopsTheCopyWithFileAndBlock) {
    write_manifest();
    flip(root / "data/base/5/16384", 2 * image::page_size + 100);
    CHECK(expect());
    const std::string text = refusal([&] { copy_trees({data, space}, control()); });
    CHECK(text.find("/data/base/5/16384") != text.npos);
    CHECK(text.find("at block 2") != text.npos);
    CHECK(text.find("--no-verify") != text.npos);
}

TEST(ManifestCheck, AFlippedByteInATablespaceOrInPgControlIsFound) {
    write_manifest();
    flip(root / "space/PG_15_202209061/5/16401", 3);
    flip(root / "data/global/pg_control", 1);
    CHECK(expect());
    CHECK(refusal([&] { copy_trees({space}, control()); }).find("16401") != std::string::npos);
    CHECK(refusal([&] { copy_file(data, apart.front(), root / "to/c", control()); }).find("pg_control") !=
          std::string::npos);
}

TEST(ManifestCheck, MissingAndShortenedFilesAreNamedBeforeAnythingIsCopied) {
    write_manifest();
    fs::remove(root / "space/PG_15_202209061/5/16401");
    fs::resize_file(root / "data/base/5/16384", image::page_size);
    const std::string text = refusal([&] { expect(); });
    CHECK(text.find("pg_tblspc/16400/PG_15_202209061/5/16401 (missing)") != text.npos);
    CHECK(text.find("base/5/16384 (size)") != text.npos);
}

TEST(ManifestCheck, ADamagedOrLostManifestIsRefused) {
    write_manifest();
    flip(root / "data/backup_manifest", 60);
    CHECK(refusal([&] { expect(); }).find("manifest") != std::string::npos);
    fs::remove(root / "data/backup_manifest");
    CHECK(refusal([&] { expect(); }).find("lost its manifest") != std::string::npos);
    backup.mode = "rsync";
    CHECK(!expect());
    UNSIGNED_LONGS_EQUAL(1, warnings.size());
}

TEST(ManifestCheck, AFileThatTheManifestDoesNotKnowIsTold) {
    write_manifest();
    write_file_durably(root / "data/stray", "x");
    CHECK(expect());
    CHECK(warnings.at(0).find("stray") != std::string::npos);
}
