#include "lib/image/manifest.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::image;

namespace {

constexpr std::string_view manifest = R"({ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7711472948050202705,
"Files": [
{ "Path": "PG_VERSION", "Size": 3, "Last-Modified": "2026-11-23 20:53:29 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "8a744722" },
{ "Encoded-Path": "62ff", "Size": 0, "Last-Modified": "2026-11-23 20:53:29 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/3000028", "End-LSN": "0/30E2768" }
],
"Manifest-Checksum": "934c65d50fdef9fe9ab8b36f1d4e51ae3c50ee7bd58b05fb8e78e7d3238fdd4b"}
)";

std::string changed(std::string_view from, std::string_view to) {
    std::string text(manifest);
    return text.replace(text.find(from), from.size(), to);
}

void ignore(const ManifestFile&) {}

}  // namespace

TEST_GROUP(Manifest) {
    Path directory;
    ReceivedFiles received;
    void setup() override {
        char name[] = "/tmp/coffer-manifest-XXXXXX";
        directory = ::mkdtemp(name);
        write_file_durably(directory / "m", manifest);
        received["PG_VERSION"] = {3, crc32c(as_byte_span("15\n"))};
        received["b\xff"] = {0, 0};
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
    std::string difference() {
        try {
            (void)compare_with_manifest(directory / "m", received);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
            return error.fact();
        }
        return {};
    }
};

TEST(Manifest, IsRead) {
    std::vector<ManifestFile> files;
    const ManifestHead head = read_manifest(directory / "m", [&](const ManifestFile& file) { files.push_back(file); });
    LONGS_EQUAL(2, head.version);
    CHECK(*head.system_identifier == 7711472948050202705ULL);
    LONGS_EQUAL(2, files.size());
    STRCMP_EQUAL("PG_VERSION", files[0].path.c_str());
    STRCMP_EQUAL("b\xff", files[1].path.c_str());
    STRCMP_EQUAL("CRC32C", files[0].algorithm.c_str());
    CHECK(head.wal_ranges[0].end == Lsn{0x30E2768});
}

TEST(Manifest, MatchesWhatWasReceived) {
    STRCMP_EQUAL("", difference().c_str());
}

TEST(Manifest, NamesTheFilesThatDiffer) {
    received["pg_wal/x"] = {};
    received["backup_manifest"] = {};
    STRCMP_EQUAL("", difference().c_str());
    received["PG_VERSION"].crc32c ^= 1;
    STRCMP_EQUAL("1 files are not as the backup manifest says: PG_VERSION (checksum)", difference().c_str());
    received["PG_VERSION"].size = 4;
    STRCMP_EQUAL("1 files are not as the backup manifest says: PG_VERSION (size)", difference().c_str());
    received.erase("PG_VERSION");
    received["extra"] = {};
    STRCMP_EQUAL("2 files are not as the backup manifest says: PG_VERSION (missing), extra (not in the manifest)",
                 difference().c_str());
}

TEST(Manifest, NoticesEveryFlippedByte) {
    for (std::size_t at = 0; at < manifest.size(); ++at) {
        std::string text(manifest);
        text[at] = static_cast<char>(text[at] ^ 0x04);
        CHECK_THROWS(Error, (void)parse_manifest(text, &ignore));
    }
}

TEST(Manifest, NoticesWhereItIsCutOff) {
    for (std::size_t size = 0; size < manifest.size(); ++size) {
        CHECK_THROWS(Error, (void)parse_manifest(manifest.substr(0, size), &ignore));
    }
}

TEST(Manifest, RefusesShapesThatItCannotHave) {
    for (const std::string& text :
         {changed("Version\": 2", "Version\": 3"), changed("\"Size\": 3", "\"Size\": -3"), changed("\"Size\": 3, ", ""),
          changed("\"62ff\"", "\"62f\""), changed("0/3000028", "3000028"), changed("\"Size\": 3", "\"Size\": [3]"),
          changed("\"Size\": 3", "\"Size\": 3.5"), std::string("{}\n"), std::string("[]\n"), std::string("[[[[")}) {
        CHECK_THROWS(Error, (void)parse_manifest(text, &ignore, false));
    }
}
