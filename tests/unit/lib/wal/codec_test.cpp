#include "lib/wal/codec.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <random>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

struct Case {
    Codec codec;
    const char* name;
    int least, most;
    const char* tool;  // decompresses stdin to stdout
};
const Case cases[] = {{Codec::gzip, "gzip", 1, 9, "gzip"},
                      {Codec::bzip2, "bzip2", 1, 9, "bzip2"},
                      {Codec::xz, "xz", 0, 6, "xz"},
                      {Codec::zstd, "zstd", -5, 12, "zstd"},
                      {Codec::lz4, "lz4", 0, 12, "lz4"}};

// Like WAL: runs of zeros, repetition, and some noise.
std::string sample(std::size_t size) {
    std::mt19937 random(42);
    std::string text;
    while (text.size() < size) {
        const unsigned kind = random() % 3;
        const std::size_t length = 1 + random() % 4000;
        for (std::size_t i = 0; i < length; ++i) {
            text.push_back(static_cast<char>(kind == 0 ? 0 : kind == 1 ? "insert into "[i % 12] : random()));
        }
    }
    text.resize(size);
    return text;
}

std::string packed(const Path& path, std::string_view data, Codec codec, int level) {
    {
        const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT | O_TRUNC);
        compress_to(fd.get(), as_byte_span(data), codec, level, path);
    }
    return read_file(path).value();
}

ErrorCode error_of(std::string_view compressed) {
    try {
        (void)decompress(as_byte_span(compressed), 64 << 20, "test");
    } catch (const Error& error) {
        STRCMP_EQUAL("test", error.where().c_str());
        return error.code();
    }
    return ErrorCode::internal;
}

}  // namespace

TEST_GROUP(Codec) {
    Path directory;
    Path path;
    void setup() override {
        char name[] = "/tmp/coffer-codec-XXXXXX";
        directory = ::mkdtemp(name);
        path = directory / "packed";
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
};

TEST(Codec, GivesBackWhatWasCompressedAtEveryLevel) {
    const std::string data = sample(150'000);
    for (const Case& c : cases) {
        for (int level = c.least; level <= c.most; ++level) {
            const std::string compressed = packed(path, data, c.codec, level);
            CHECK_TEXT(compressed.size() < data.size(), c.name);
            CHECK_TEXT(detect_codec(as_byte_span(compressed)) == c.codec, c.name);
            CHECK_TEXT(decompress_file(path, data.size()) == data, c.name);
            CHECK_TEXT(decompress(as_byte_span(compressed), data.size(), path) == data, c.name);
        }
    }
}

TEST(Codec, TakesEmptyTinyPlainAndLargeData) {
    for (const Case& c : cases) {
        for (const std::string& data : {std::string(), std::string("x"), std::string(256 * 1024, 'y')}) {
            packed(path, data, c.codec, level_of(c.codec, "medium"));
            CHECK_TEXT(decompress_file(path, 1 << 20) == data, c.name);
        }
    }
    const std::string data = sample(3'000'000);
    for (const Case& c : cases) {
        packed(path, data, c.codec, level_of(c.codec, "medium"));
        CHECK_TEXT(decompress_file(path, data.size()) == data, c.name);
    }
    CHECK(packed(path, data, Codec::none, 0) == data);
    CHECK(decompress_file(path, data.size()) == data);
}

TEST(Codec, NoticesATruncatedFileWhereverItEnds) {
    const std::string data = sample(60'000);
    for (const Case& c : cases) {
        const std::string compressed = packed(path, data, c.codec, level_of(c.codec, "low"));
        for (std::size_t size = 10; size < compressed.size();
             size += size < 100 || size + 30 > compressed.size() ? 3 : 1997) {
            CHECK_TEXT(error_of(compressed.substr(0, size)) == ErrorCode::corrupt, c.name);
        }
    }
}

TEST(Codec, NoticesAFlippedByteWhereverItIs) {
    const std::string data = sample(60'000);
    for (const Case& c : cases) {
        const std::string compressed = packed(path, data, c.codec, level_of(c.codec, "low"));
        for (std::size_t at = 10; at < compressed.size(); at += 1 + compressed.size() / 100) {
            std::string damaged = compressed;
            damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
            std::string result;
            try {
                result = decompress(as_byte_span(damaged), 64 << 20, "test");
            } catch (const Error& error) {
                CHECK_TEXT(error.code() == ErrorCode::corrupt, c.name);
                continue;
            }
            CHECK_TEXT(result == data, c.name);  // a byte that carries nothing, as a time stamp
        }
    }
}

TEST(Codec, ReadsSeveralMembersAndRefusesRubbishBehindTheLast) {
    const std::string data = sample(50'000);
    for (const Case& c : cases) {
        const std::string compressed = packed(path, data, c.codec, level_of(c.codec, "low"));
        CHECK_TEXT(decompress(as_byte_span(compressed + compressed), 1 << 20, path) == data + data, c.name);
        CHECK_TEXT(error_of(compressed + "rubbish behind the end of it all") == ErrorCode::corrupt, c.name);
        CHECK_TEXT(error_of(compressed + compressed.substr(0, 20)) == ErrorCode::corrupt, c.name);
    }
}

TEST(Codec, RefusesMoreThanTheLimitAndFormatsItDoesNotKnow) {
    packed(path, std::string(100'000, 'a'), Codec::zstd, 1);
    try {
        (void)decompress_file(path, 99'999);
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::corrupt);
    }
    CHECK(error_of(std::string_view("\xff\x06\0\0sNaPpY....", 14)) == ErrorCode::not_supported);
}

TEST(Codec, IsReadAndWrittenByTheUsualTools) {
    const std::string data = sample(300'000);
    const Path plain = directory / "plain";
    for (const Case& c : cases) {
        packed(path, data, c.codec, level_of(c.codec, "high"));
        const std::string tool = c.tool;
        const std::string command = "command -v " + tool + " >/dev/null || exit 77; " + tool + " -dc <" +
                                    path.string() + " >" + plain.string() + " && " + tool + " -c <" + plain.string() +
                                    " >" + path.string();
        const int status = std::system(command.c_str());
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) continue;  // the tool is not installed
        LONGS_EQUAL_TEXT(0, status, c.name);
        CHECK_TEXT(read_file(plain).value() == data, c.name);
        CHECK_TEXT(decompress_file(path, data.size()) == data, c.name);
    }
}

TEST(Codec, UnderstandsLevelsAsBarmanDoes) {
    LONGS_EQUAL(6, level_of(Codec::gzip, "medium"));
    LONGS_EQUAL(5, level_of(Codec::bzip2, "medium"));
    LONGS_EQUAL(1, level_of(Codec::xz, "low"));
    LONGS_EQUAL(9, level_of(Codec::zstd, "high"));
    LONGS_EQUAL(10, level_of(Codec::lz4, "high"));
    LONGS_EQUAL(-3, level_of(Codec::zstd, "-3"));
    LONGS_EQUAL(zstd_for_wal, level_of(Codec::zstd, "medium"));
    LONGS_EQUAL(0, level_of(Codec::none, "7"));
    for (const auto& [codec, level] :
         {std::pair(Codec::gzip, "10"), std::pair(Codec::gzip, "0"), std::pair(Codec::zstd, "23"),
          std::pair(Codec::lz4, "fast"), std::pair(Codec::xz, "3x")}) {
        try {
            (void)level_of(codec, level);
            FAIL(level);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::invalid_configuration);
        }
    }
}
