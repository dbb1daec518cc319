#include "lib/scrub/wal_check.h"

#include <cerrno>

#include "lib/base/error.h"
#include "lib/verify/file_content.h"
#include "lib/wal/codec.h"
#include "lib/wal/xlogdb.h"
#include "tests/unit/lib/wal/archive_box.h"

using namespace coffer;
using namespace coffer::wal;
using namespace coffer::wal::archive_tests;

// clang-format off
TEST_GROUP_BASE(ScrubWalCheck, ArchiveBox) {
    scrub::WalVerdict check(const std::string& name, bool form_known = true) {
        std::uint64_t read = 0;
        const auto verdict = scrub::check_wal_file(archive->path_of(name), [&] { return form_known; }, true,
                                                   [&](std::size_t bytes) { read += bytes; });
        CHECK(verdict.gone || verdict.fault || read == std::filesystem::file_size(archive->path_of(name)));
        return verdict;
    }
    std::string fault_of(const std::string& name) {
        const auto verdict = check(name);
        CHECK(!verdict.opaque);
        return verdict.gone ? "gone" : verdict.fault.value_or("");
    }
    void flip(const std::string& name, std::uint64_t at) {
        std::string bytes = read_file(archive->path_of(name)).value();
        const std::byte other{static_cast<unsigned char>(bytes.at(at) ^ 1)};
        const UniqueFd fd = files().open(archive->path_of(name), O_WRONLY);
        files().write_at(fd.get(), ByteSpan(&other, 1), at, name);
    }
    // As others archived it: without a kept checksum.
    void lay(const std::string& name, std::string_view bytes, const char* compression, const char* encryption = "") {
        std::filesystem::create_directories(archive->path_of(name).parent_path());
        write_file_durably(archive->path_of(name), bytes);
        const XlogLine line{name, bytes.size(), clock.now(), compression, encryption};
        append_xlogdb(xlogdb_path(server), {&line, 1});
        open();
    }
    void check_stays(const std::string& name, Recheck::Result result) {
        const std::string bytes = read_file(archive->path_of(name)).value();
        CHECK(archive->recheck(name).result == result);
        CHECK(read_file(archive->path_of(name)) == bytes);
        LONGS_EQUAL(0, files_below("errors"));
    }
};
// clang-format on

TEST(ScrubWalCheck, FindsAFlippedByteWhereverItIs) {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::zstd, Codec::lz4}) {
        server.compression = codec;
        open();
        const std::string name = name_of_segment(static_cast<std::uint64_t>(codec) + 1);
        const std::string bytes = segment_of(static_cast<std::uint64_t>(codec) + 1);
        store(name, bytes);
        STRCMP_EQUAL("", fault_of(name).c_str());
        const std::uint64_t size = std::filesystem::file_size(archive->path_of(name));
        for (std::uint64_t at = 0; at < size; at += size / 61 + 1) {
            flip(name, at);
            // Some bytes of a codec's header say nothing about the content.
            bool same = false;
            try {
                same = decompress_file(archive->path_of(name), 64 << 20) == bytes;
            } catch (const Error&) {
            }
            CHECK(same || !fault_of(name).empty());
            flip(name, at);
        }
        STRCMP_EQUAL("", fault_of(name).c_str());
    }
}

TEST(ScrubWalCheck, AHistoryIsProvenByWhatWasKeptOfIt) {
    store("00000002.history", "1\t0/3000000\tno recovery target specified\n");
    STRCMP_EQUAL("", fault_of("00000002.history").c_str());
    flip("00000002.history", 5);  // another LSN, and a history all the same
    STRCMP_EQUAL("has other bytes than were archived", fault_of("00000002.history").c_str());
}

TEST(ScrubWalCheck, WhatRetentionHasRemovedIsNoDamage) {
    STRCMP_EQUAL("gone", fault_of(name_of_segment(9)).c_str());
}

TEST(ScrubWalCheck, TheArchiveSetsADamagedFileAsideAndForgetsItAtOnce) {
    const std::string name = name_of_segment(1), bytes = segment_of(1);
    store(name, bytes);
    CHECK(archive->recheck(name).result == Recheck::Result::sound);
    flip(name, std::filesystem::file_size(archive->path_of(name)) / 2);
    const Recheck found = archive->recheck(name);
    CHECK(found.result == Recheck::Result::set_aside && found.moved_to.extension() == ".damaged");
    CHECK(std::filesystem::exists(found.moved_to));
    CHECK(!archive->has(name) && indexed().empty());
    CHECK(archive->recheck(name).result == Recheck::Result::absent);
    check_stored(store(name, bytes), bytes);
}

TEST(ScrubWalCheck, TheIndexIsSetRightByWhatLiesThere) {
    const std::string name = name_of_segment(1);
    store(name, segment_of(1));
    std::vector<XlogLine> lines = read_xlogdb(xlogdb_path(server)).lines;
    const std::uint64_t size = lines.at(0).size;
    lines[0].size = 3;
    write_xlogdb(xlogdb_path(server), lines);
    CHECK(archive->recheck(name).result == Recheck::Result::sound);
    LONGS_EQUAL(size, read_xlogdb(xlogdb_path(server)).lines.at(0).size);
}

TEST(ScrubWalCheck, WhatIsOfAnotherSystemOrVersionIsGood) {
    const std::string name = name_of_segment(1), bytes = segment_of(1);
    store(name, bytes);
    settings.known_system = [] { return KnownSystem{other_system, 17, std::nullopt}; };  // upgraded since
    open();
    STRCMP_EQUAL("", fault_of(name).c_str());
    check_stays(name, Recheck::Result::sound);
    lay(name_of_segment(2), segment_of(2), "");
    STRCMP_EQUAL("", fault_of(name_of_segment(2)).c_str());
    check_stays(name_of_segment(2), Recheck::Result::sound);
    flip(name_of_segment(2), 70000);
    CHECK(!fault_of(name_of_segment(2)).empty());
    CHECK(archive->recheck(name_of_segment(2)).result == Recheck::Result::set_aside);
}

TEST(ScrubWalCheck, WhatIsNotUnderstoodStays) {
    const std::string other(1000, 'x');
    std::string old = segment_of(3), older = segment_of(4);
    old.replace(0, 2, "\x01\xD1");    // 12
    older.replace(0, 2, "\x98\xD0");  // 11
    lay(name_of_segment(3), old, "");
    lay(name_of_segment(4), older, "");
    lay(name_of_segment(5), other, "custom");
    lay(name_of_segment(6), other, "", "gpg");
    lay("00000002.history", other, "custom");
    lay(name_of_segment(7) + ".00000028.backup", other, "", "gpg");
    lay(name_of_segment(8) + ".partial", "\x1f\x8b\x08 whatever", "custom");
    for (const std::string& name : {name_of_segment(3), name_of_segment(4)}) {
        CHECK(check(name).opaque && !check(name).fault);
        check_stays(name, Recheck::Result::opaque);
    }
    for (const std::string& name : {name_of_segment(5), name_of_segment(6), std::string("00000002.history"),
                                    name_of_segment(7) + ".00000028.backup", name_of_segment(8) + ".partial"}) {
        CHECK(check(name, false).opaque && !check(name, false).fault);
        check_stays(name, Recheck::Result::opaque);
    }
}

TEST(ScrubWalCheck, TheIndexTellsWhatShouldBePlain) {
    lay(name_of_segment(1), std::string(1 << 20, 'x'), "");
    const std::vector<XlogLine> lines = read_xlogdb(xlogdb_path(server)).lines;
    CHECK(lines.empty() || is_known_form(lines.at(0)));
    CHECK(check(name_of_segment(1), true).fault && check(name_of_segment(1), false).opaque);
    for (const char* compression : {"", "gzip", "bzip2", "xz", "zstd", "lz4"}) {
        CHECK(is_known_form({"", 0, {}, compression, ""}));
        CHECK(!is_known_form({"", 0, {}, compression, "gpg"}));
    }
    CHECK(!is_known_form({"", 0, {}, "custom", ""}) && !is_known_form({"", 0, {}, "snappy", ""}));
}

TEST(ScrubWalCheck, WhatCannotBeReadNowIsNotMoved) {
    const std::string name = name_of_segment(1);
    store(name, segment_of(1));
    const Path path = archive->path_of(name), kept = path.string() + ".kept";
    std::filesystem::rename(path, kept);
    std::filesystem::create_directory(path);  // reading it is EISDIR
    try {
        (void)archive->recheck(name);
        FAIL("it was judged");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::io);
    }
    CHECK(std::filesystem::is_directory(path) && archive->has(name));
    LONGS_EQUAL(0, files_below("errors"));
    for (const int number : {EIO, EUCLEAN, EBADMSG}) CHECK(verify::says_damaged(number));
    for (const int number : {EMFILE, ENOMEM, ETIMEDOUT, EACCES}) CHECK(!verify::says_damaged(number));
}

TEST(ScrubWalCheck, WhatWasSetAsideIsTakenForWhatItWas) {
    const std::string name = name_of_segment(1), bytes = segment_of(1);
    store(name, bytes);
    const Path aside = home / (name + ".20261128T100000Z.damaged");
    std::filesystem::rename(archive->path_of(name), aside);
    std::string stored = read_file(aside).value();
    CHECK(sound_content(aside, name, as_byte_span(stored)) == bytes);
    stored[stored.size() / 2] ^= 1;
    CHECK(!sound_content(aside, name, as_byte_span(stored)));
}
