#include "lib/base/crc32c_combine.h"

#include <CppUTest/TestHarness.h>

#include <string>

#include "lib/base/crc32c.h"

using namespace coffer;

TEST_GROUP(Crc32cCombine){};

TEST(Crc32cCombine, JoinsTheChecksumsOfTwoTexts) {
    std::string text;
    for (int n = 0; n < 100000; ++n) text += static_cast<char>(n * 7 % 251);
    const std::uint32_t whole = crc32c(as_byte_span(text));
    for (const std::size_t first : {0U, 1U, 7U, 8192U, 65536U, 99999U, 100000U}) {
        const std::string_view all(text);
        const ByteSpan front = as_byte_span(all.substr(0, first)), back = as_byte_span(all.substr(first));
        UNSIGNED_LONGS_EQUAL(whole, crc32c_joined(crc32c(front), crc32c(back), back.size()));
    }
}

TEST(Crc32cCombine, KnowsZeros) {
    for (const std::size_t size : {0U, 1U, 8192U, 100'003U}) {
        UNSIGNED_LONGS_EQUAL(crc32c(as_byte_span(std::string(size, '\0'))), crc32c_of_zeros(size));
    }
}

TEST(Crc32cCombine, FollowsAChange) {
    std::string text(100'000, 'x');
    const std::uint32_t before = crc32c(as_byte_span(text));
    const std::string old = text.substr(40'000, 8192), now(8192, 'y');
    text.replace(40'000, 8192, now);
    const std::uint32_t change = crc32c(as_byte_span(old)) ^ crc32c(as_byte_span(now));
    UNSIGNED_LONGS_EQUAL(crc32c(as_byte_span(text)), crc32c_joined(change, before, 100'000 - 40'000 - 8192));
}
