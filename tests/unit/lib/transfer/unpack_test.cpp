#include "lib/transfer/unpack.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "tests/unit/lib/transfer/bundle_maker.h"

using namespace coffer;
using namespace coffer::transfer;
using coffer::transfer::tests::BundleMaker;

TEST_GROUP(UnpackExport) {
    Path place;
    BundleMaker bundle;
    void setup() override {
        char name[] = "/tmp/coffer-unpack-XXXXXX";
        place = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(place);
    }
    std::string unpack(const std::string& bytes) {
        const Path into = place / "in";
        std::filesystem::remove_all(into);
        std::filesystem::create_directory(into);
        bool given = false;
        Unpacker unpacker(
            [&]() -> ByteSpan {
                if (std::exchange(given, true)) return {};
                return as_byte_span(bytes);
            },
            "the file");
        unpacker.unpack(into, [](std::uint64_t) {});
        return unpacker.index_hash();
    }
    // Why it is refused.
    std::string fault(const std::string& bytes) {
        try {
            unpack(bytes);
            return "nothing is wrong";
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::not_supported);
            return error.what();
        }
    }
    std::string fault() {
        return fault(bundle.write());
    }
};

TEST(UnpackExport, GivesBackWhatWasPutIn) {
    LONGS_EQUAL(64, unpack(bundle.write()).size());
    const Path in = place / "in";
    STRCMP_EQUAL("x", read_file(in / "data/base/with space \xc3\xa4")->c_str());
    STRCMP_EQUAL((in / "16384").c_str(), std::filesystem::read_symlink(in / "data/pg_tblspc/16384").c_str());
    for (const char* const path : {"data", "data/base", "data/PG_VERSION", "data/pg_tblspc/16384"}) {
        struct stat status {};
        LONGS_EQUAL(0, ::lstat((in / path).c_str(), &status));
        LONGS_EQUAL(1'700'000'000, status.st_mtim.tv_sec);
        LONGS_EQUAL(123'456'789, status.st_mtim.tv_nsec);
        if (!S_ISLNK(status.st_mode)) LONGS_EQUAL(S_ISDIR(status.st_mode) ? 0750 : 0640, status.st_mode & 07777);
    }
}

TEST(UnpackExport, ReadsEachCompression) {
    const std::string plain = unpack(bundle.write());
    for (const auto codec : {config::Codec::gzip, config::Codec::bzip2, config::Codec::xz, config::Codec::zstd})
        STRCMP_EQUAL(plain.c_str(), unpack(bundle.write(codec)).c_str());
    CHECK_THROWS(Error, bundle.write(config::Codec::lz4));
}

TEST(UnpackExport, FindsWhatWasAltered) {
    bundle.member("data/PG_VERSION").indexed = "14\n";
    STRCMP_CONTAINS("a file is not what the index says: data/PG_VERSION", fault().c_str());
}

TEST(UnpackExport, FindsAFlippedByteAnywhere) {
    const std::string good = bundle.write();
    std::size_t refused = 0, tried = 0;
    for (std::size_t at = 3; at < good.size(); at += good.size() / 97) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        // What only fills up is no content.
        if (good[at] == '\0') continue;
        ++tried;
        if (fault(bad) != "nothing is wrong") ++refused;
    }
    CHECK(tried > 50);
    LONGS_EQUAL(tried, refused);
}

TEST(UnpackExport, FindsThatTheEndIsMissing) {
    const std::string good = bundle.write();
    for (const std::size_t size : {good.size() / 3, good.size() - 2000, std::size_t{5000}})
        CHECK(fault(good.substr(0, size)) != "nothing is wrong");
    const std::string packed = bundle.write(config::Codec::zstd);
    CHECK(fault(packed.substr(0, packed.size() - 10)) != "nothing is wrong");
    bundle.with_index = false;
    STRCMP_CONTAINS("it was cut off", fault().c_str());
}

TEST(UnpackExport, LetsNothingOut) {
    const auto with = [](auto change) {
        BundleMaker changed;
        change(changed);
        return changed.write();
    };
    for (const char* const path : {"../out", "/out", "data/../../out", "data/./x", "data//x"}) {
        STRCMP_CONTAINS("unsafe name", fault(with([&](BundleMaker& b) { b.file(path, "x"); })).c_str());
    }
    for (const char* const target : {"/etc", "..", "../..", "../../../etc", "../x/../../y", ""}) {
        CHECK(fault(with([&](BundleMaker& b) { b.link("data/out", target); })) != "nothing is wrong");
    }
    const auto through = with([](BundleMaker& b) {
        b.link("data/in", "base");
        b.file("data/in/x", "x");
    });
    STRCMP_CONTAINS("in no directory", fault(through).c_str());
    for (const char* const path : {"elsewhere/x", "x", "-1/x"})
        STRCMP_CONTAINS("belongs nowhere", fault(with([&](BundleMaker& b) { b.file(path, "x"); })).c_str());
    CHECK(!std::filesystem::exists(place / "out"));
}

TEST(UnpackExport, TakesNoMoreThanIsSaid) {
    bundle.header.bytes = (1 << 20) + 5;
    STRCMP_CONTAINS("holds more than it says", fault().c_str());
}

TEST(UnpackExport, TakesNoOtherWalAndMissesNone) {
    bundle.file("wal/000000010000000000000004", std::string(1 << 20, 'w'));
    STRCMP_CONTAINS("WAL that the backup does not need", fault().c_str());
    BundleMaker lacking;
    lacking.members.pop_back();
    STRCMP_CONTAINS("lacks WAL", fault(lacking.write()).c_str());
}

TEST(UnpackExport, TakesNothingTwice) {
    bundle.file("data/PG_VERSION", "15\n");
    STRCMP_CONTAINS("twice", fault().c_str());
}

TEST(UnpackExport, RefusesOtherFilesInWords) {
    STRCMP_CONTAINS("no export of Coffer's", fault("nothing of a tar").c_str());
    STRCMP_CONTAINS("no export of Coffer's", fault("").c_str());
    bundle.info.systemid = 1;
    STRCMP_CONTAINS("not that of a whole backup", fault().c_str());
}

TEST(UnpackExport, RefusesANewerFormat) {
    std::string bytes = bundle.write();
    const std::size_t at = bytes.find("\"format\": 1");
    CHECK(at != std::string::npos);
    bytes[at + 10] = '2';
    STRCMP_CONTAINS("the export has version 2, this program", fault(bytes).c_str());
}
TEST(UnpackExport, RefusesLinksThatLeadOutTogether) {
    bundle.link("data/up", "base/with space");
    bundle.link("data/base/over", "../up/../../..");
    STRCMP_CONTAINS("leads out", fault().c_str());
}
