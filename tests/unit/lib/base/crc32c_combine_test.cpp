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
