#include "lib/wal/serve.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include <cstring>
#include <fstream>

#include "lib/base/error.h"
#include "lib/wal/segment_name.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr std::uint64_t size = 1 << 20;

// Enough of a segment for its first page to say what it is.
std::string segment_bytes(std::uint64_t number, std::uint64_t length = size) {
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
        archive(number, segment_bytes(number), codec);
        CHECK(serve_to_file(server, name(number), {}, home / "out/RECOVERYXLOG"));
        CHECK(read_file(home / "out/RECOVERYXLOG") == segment_bytes(number));
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

TEST(ServeWal, ADamagedFileIsNeverDelivered) {
    archive(1, segment_bytes(1, 500000));
    archive(2, segment_bytes(2), Codec::zstd);
    std::filesystem::resize_file(home / "wals/0000000100000000" / name(2), 40);
    for (const std::uint64_t number : {1, 2}) {
        try {
            (void)serve_to_file(server, name(number), {}, home / "out/a");
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
        }
    }
    LONGS_EQUAL(0, files_out());
}

TEST(ServeWal, WhatIsNotHeldLeavesNothingBehind) {
    CHECK_FALSE(serve_to_file(server, name(9), {.allow_partial = true}, home / "out/a"));
    LONGS_EQUAL(0, files_out());
}

TEST(ServeWal, NamesAheadEndAtTheFirstHole) {
    for (const std::uint64_t number : {1, 2, 3, 5}) archive(number, segment_bytes(number), Codec::gzip);
    LONGS_EQUAL(3, names_held_from(server, name(1), 10, false).size());
    LONGS_EQUAL(2, names_held_from(server, name(1), 2, false).size());
    LONGS_EQUAL(0, names_held_from(server, name(4), 2, false).size());
}
