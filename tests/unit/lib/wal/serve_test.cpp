#include "lib/wal/serve.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include <cstring>
#include <fstream>

#include "lib/base/error.h"
#include "lib/wal/segment_name.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr std::uint64_t size = 1 << 20;

// Segments 1 to 9, full of records.
std::string whole(std::uint64_t number) {
    static const test::WalBuilder wal = [] {
        test::WalOptions options;
        options.first = {1, 1};
        test::WalBuilder builder(options);
        for (int i = 0; i < 9; ++i) builder.fill_segment();
        return builder;
    }();
    return wal.segment(number);
}

// Enough of a segment for its first page to say what it is.
std::string segment_bytes(std::uint64_t number, std::uint64_t length) {
    std::string bytes(length, '\x5a');
    const auto put = [&](std::size_t at, auto value) { std::memcpy(bytes.data() + at, &value, sizeof value); };
    put(0, std::uint16_t{0xD110});         // PostgreSQL 15
    put(2, std::uint16_t{0x0002});         // long header
    put(4, std::uint32_t{1});              // timeline
    put(8, std::uint64_t{number * size});  // address
    put(16, std::uint32_t{0});             // remaining
    put(20, std::uint32_t{0});
    put(24, std::uint64_t{7711478387421122404ULL});
    put(32, static_cast<std::uint32_t>(size));
    put(36, std::uint32_t{8192});
    return bytes;
}

}  // namespace

TEST_GROUP(ServeWal) {
    Path home;
    config::Server server;
    void setup() override {
        char name[] = "/tmp/coffer-serve-XXXXXX";
        home = ::mkdtemp(name);
        server.name = "main";
        server.wals_directory = home / "wals";
        server.incoming_wals_directory = home / "incoming";
        server.streaming_wals_directory = home / "streaming";
        for (const char* folder : {"wals/0000000100000000", "incoming", "streaming", "out"}) {
            std::filesystem::create_directories(home / folder);
        }
    }
    void teardown() override {
        std::filesystem::remove_all(home);
    }

    static std::string name(std::uint64_t number) {
        return Segment{1, number}.name(*SegmentSize::from_bytes(size));
    }
    void archive(std::uint64_t number, const std::string& bytes, Codec codec = Codec::none) {
        const Path path = home / "wals/0000000100000000" / name(number);
        const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT);
        if (codec == Codec::none)
            files().append(fd.get(), as_byte_span(bytes), path);
        else
            compress_to(fd.get(), as_byte_span(bytes), codec, level_of(codec, "low"), path);
    }
    std::size_t files_out() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(home / "out"), {}));
    }
};

TEST(ServeWal, GivesTheServersBytesWhateverTheyAreStoredAs) {
    const Codec codecs[] = {Codec::none, Codec::gzip, Codec::bzip2, Codec::xz, Codec::zstd, Codec::lz4};
    std::uint64_t number = 1;
    for (const Codec codec : codecs) {
        archive(number, whole(number), codec);
        CHECK(serve_to_file(server, name(number), {}, home / "out/RECOVERYXLOG"));
        CHECK(read_file(home / "out/RECOVERYXLOG") == whole(number));
        ++number;
    }
    LONGS_EQUAL(1, files_out());
}

TEST(ServeWal, AnUnfinishedSegmentIsGivenOnlyWhenAskedForAndAtFullSize) {
    std::ofstream(home / "streaming" / (name(3) + ".partial")) << segment_bytes(3, 30000);
    CHECK_FALSE(serve_to_file(server, name(3), {}, home / "out/a"));
    CHECK(serve_to_file(server, name(3), {.allow_partial = true}, home / "out/a"));
    const std::string got = *read_file(home / "out/a");
    LONGS_EQUAL(size, got.size());
    CHECK(got.substr(0, 30000) == segment_bytes(3, 30000));
    CHECK(got.find_first_not_of('\0', 30000) == std::string::npos);
}

TEST(ServeWal, AnUnfinishedSegmentIsUnpackedEvenWhereOthersAreGivenAsTheyAreStored) {
    archive(4, whole(4).substr(0, 30000), Codec::zstd);
    const Path folder = home / "wals/0000000100000000";
    std::filesystem::rename(folder / name(4), folder / (name(4) + ".partial"));
    CHECK(serve_to_file(server, name(4), {.allow_partial = true, .keep_compression = true}, home / "out/a"));
    CHECK(read_file(home / "out/a") == whole(4).substr(0, 30000) + std::string(size - 30000, '\0'));
}

TEST(ServeWal, ADamagedFileIsNeverDelivered) {
    archive(1, segment_bytes(1, 500000));
    archive(2, whole(2), Codec::zstd);
    std::filesystem::resize_file(home / "wals/0000000100000000" / name(2), 40);
    std::string flipped = whole(3), other_place = whole(5), short_one = whole(6);
    flipped[500000] ^= 1;
    archive(3, flipped);
    archive(4, other_place);
    archive(6, short_one.substr(0, size - 8192));
    archive(7, "no segment at all");
    for (const std::uint64_t number : {1, 2, 3, 4, 6, 7}) {
        try {
            (void)serve_to_file(server, name(number), {}, home / "out/a");
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
        }
    }
    LONGS_EQUAL(0, files_out());
    archive(8, whole(8));
    CHECK_THROWS(Error, serve_to_file(server, name(8), {.system_identifier = 1}, home / "out/a"));
    CHECK(serve_to_file(server, name(8), {.system_identifier = test::WalOptions().system_identifier}, home / "out/a"));
}

TEST(ServeWal, WhatIsGivenAsItIsStoredIsCheckedAsWell) {
    std::string flipped = whole(1);
    flipped[500000] ^= 1;
    archive(1, flipped, Codec::zstd);
    archive(2, whole(2), Codec::zstd);
    CHECK_THROWS(Error, serve_to_file(server, name(1), {.keep_compression = true}, home / "out/a"));
    LONGS_EQUAL(0, files_out());
    CHECK(serve_to_file(server, name(2), {.keep_compression = true}, home / "out/a"));
    CHECK(read_file(home / "out/a") == read_file(home / "wals/0000000100000000" / name(2)));
}

TEST(ServeWal, AnUnfinishedSegmentMustBeTheOneThatItsNameSays) {
    const auto put = [&](const std::string& bytes) {
        std::ofstream(home / "streaming" / (name(3) + ".partial")) << bytes;
    };
    for (const std::string& bytes : {segment_bytes(2, 30000), std::string(30000, 'x'), std::string("short")}) {
        put(bytes);
        CHECK_THROWS(Error, serve_to_file(server, name(3), {.allow_partial = true}, home / "out/a"));
    }
    put(segment_bytes(3, 30000));
    CHECK_THROWS(Error,
                 serve_to_file(server, name(3), {.allow_partial = true, .system_identifier = 1}, home / "out/a"));
    put(std::string(size, '\0'));  // made, and nothing has come yet
    CHECK(serve_to_file(server, name(3), {.allow_partial = true}, home / "out/a"));
}

TEST(ServeWal, TellsAHoleFromTheEndOfTheLog) {
    for (const std::uint64_t number : {1, 2, 4, 5}) archive(number, whole(number));
    CHECK(held_behind(server, name(3), true) == name(4));
    CHECK(!held_behind(server, name(6), true));
    CHECK(!held_behind(server, "0000000200000000" + name(3).substr(16), true));
    // Timeline 2 began within segment 3: its segment 2 never was, its segment 3 is missing.
    const auto on_two = [](std::uint64_t number) { return Segment{2, number}.name(*SegmentSize::from_bytes(size)); };
    std::ofstream(home / "wals/00000002.history") << "1\t0/350000\tno recovery target specified\n";
    std::filesystem::create_directories(home / "wals/0000000200000000");
    std::ofstream(home / "wals/0000000200000000" / on_two(4)) << whole(4);
    CHECK(!held_behind(server, on_two(2), true));
    CHECK(held_behind(server, on_two(3), true) == on_two(4));
    CHECK(!held_behind(server, on_two(5), true));
    // Without its history it had begun where an earlier one is held.
    std::filesystem::remove(home / "wals/00000002.history");
    CHECK(!held_behind(server, on_two(3), true));
    std::ofstream(home / "wals/0000000200000000" / on_two(2)) << whole(2);
    CHECK(held_behind(server, on_two(3), true) == on_two(4));
    // An unfinished one is a hole too, when the log goes on behind it.
    std::ofstream(home / "streaming" / (name(3) + ".partial")) << segment_bytes(3, 30000);
    CHECK(held_behind(server, name(3), true) == name(4));
    // What is unfinished counts only where it would be given.
    std::ofstream(home / "streaming" / (name(7) + ".partial")) << segment_bytes(7, 30000);
    CHECK(held_behind(server, name(6), true) == name(7));
    CHECK(!held_behind(server, name(6), false));
}

TEST(ServeWal, WhatIsNotHeldLeavesNothingBehind) {
    CHECK_FALSE(serve_to_file(server, name(9), {.allow_partial = true}, home / "out/a"));
    LONGS_EQUAL(0, files_out());
}

TEST(ServeWal, NamesAheadEndAtTheFirstHole) {
    for (const std::uint64_t number : {1, 2, 3, 5}) archive(number, whole(number), Codec::gzip);
    LONGS_EQUAL(3, names_held_from(server, name(1), 10, false).size());
    LONGS_EQUAL(2, names_held_from(server, name(1), 2, false).size());
    LONGS_EQUAL(0, names_held_from(server, name(4), 2, false).size());
}
