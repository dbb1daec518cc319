#include "lib/base/crc32c.h"

#include <CppUTest/TestHarness.h>
#include <string>

using namespace coffer;

namespace {

std::string text_of(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t state = 12345;
    for (char& byte : text) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return text;
}

}  // namespace

TEST_GROUP(Crc32c){};

TEST(Crc32c, HasThePublishedValues) {
    std::string ascending;
    for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
    const struct {
        std::string text;
        std::uint32_t crc;
    } cases[] = {
        {"", 0},
        {"123456789", 0xE3069283},
        {std::string(32, '\0'), 0x8A9136AA},
        {std::string(32, '\xFF'), 0x62A8AB43},
        {ascending, 0x46DD794E},
    };
    for (const auto& row : cases) {
        UNSIGNED_LONGS_EQUAL(row.crc, crc32c(as_byte_span(row.text)));
        UNSIGNED_LONGS_EQUAL(row.crc, crc32c_by_tables(as_byte_span(row.text)));
    }
}

TEST(Crc32c, IsTheSameByInstructionAndByTablesForEveryLengthAndAlignment) {
    const std::string text = text_of(20000);
    for (std::size_t size = 0; size < 20000 - 8; size = size < 1000 ? size + 1 : size + 761) {
        const ByteSpan data = as_byte_span(text).subspan(size % 8, size);
        UNSIGNED_LONGS_EQUAL(crc32c_by_tables(data), crc32c(data));
    }
}

TEST(Crc32c, GoesOnFromTheValueOfWhatCameBefore) {
    const std::string text = text_of(15000);
    const ByteSpan data = as_byte_span(text);
    const std::uint32_t whole = crc32c(data);
    for (std::size_t cut = 0; cut <= data.size(); cut += 777) {
        UNSIGNED_LONGS_EQUAL(whole, crc32c(data.subspan(cut), crc32c(data.first(cut))));
        UNSIGNED_LONGS_EQUAL(whole, crc32c_by_tables(data.subspan(cut), crc32c_by_tables(data.first(cut))));
    }
}
