#include "lib/base/lsn.h"

#include <CppUTest/TestHarness.h>

using coffer::Lsn;

TEST_GROUP(Lsn){};

TEST(Lsn, PrintsAsPostgresDoes) {
    STRCMP_EQUAL("0/16B3748", Lsn{0x16B3748}.to_string().c_str());
    STRCMP_EQUAL("1A/FF000028", Lsn{0x1AFF000028}.to_string().c_str());
}

TEST(Lsn, ReadsWhatItPrints) {
    for (const std::uint64_t value : {0ULL, 1ULL, 0xFFFFFFFFULL, 0x100000000ULL, ~0ULL}) {
        CHECK(Lsn::parse(Lsn{value}.to_string()) == Lsn{value});
    }
}

TEST(Lsn, RefusesOtherText) {
    for (const char* text : {"", "/", "0", "0/", "/0", "0/G", "0/123456789", "0/1 ", "-1/0", "0/0/0"}) {
        CHECK_TEXT(!Lsn::parse(text).has_value(), text);
    }
}
