#include "lib/scrub/wal_check.h"

#include "tests/unit/lib/wal/archive_box.h"

using namespace coffer;
using namespace coffer::wal;
using namespace coffer::wal::archive_tests;

TEST_GROUP_BASE(ScrubWalCheck, ArchiveBox){std::string fault_of(const std::string& name){std::uint64_t read = 0;
const auto verdict = scrub::check_wal_file(archive->path_of(name), {our_system, 15, {}}, true,
                                           [&](std::size_t bytes) { read += bytes; });
CHECK(verdict.gone || verdict.fault || read == std::filesystem::file_size(archive->path_of(name)));
return verdict.gone ? "gone" : verdict.fault.value_or("");
}
void flip(const std::string& name, std::uint64_t at) {
    std::string bytes = read_file(archive->path_of(name)).value();
    const std::byte other{static_cast<unsigned char>(bytes.at(at) ^ 1)};
    const UniqueFd fd = files().open(archive->path_of(name), O_WRONLY);
    files().write_at(fd.get(), ByteSpan(&other, 1), at, name);
}
}
;

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
