#include "lib/wal/archive_index.h"

#include <CppUTest/TestHarness.h>

using namespace coffer::wal;

TEST_GROUP(ArchiveIndex) {
    ArchiveIndex index;
};

TEST(ArchiveIndex, KnowsFirstAndLastWhateverTheOrderOfArrival) {
    CHECK(!index.first_segment().has_value());
    for (const char* name : {"000000020000000000000007", "0000000100000000000000FF", "000000010000000100000000",
                             "00000002.history", "000000030000000000000001.partial"}) {
        index.add(name, 10);
    }
    STRCMP_EQUAL("0000000100000000000000FF", index.first_segment()->c_str());
    STRCMP_EQUAL("000000020000000000000007", index.last_segment()->c_str());
    LONGS_EQUAL(3, index.segment_count());
    LONGS_EQUAL(50, index.stored_bytes());
    CHECK(index.has("00000002.history"));
    CHECK(index.has("000000010000000100000000"));
    CHECK(!index.has("000000010000000100000001"));
    CHECK(!index.has("000000010000000100000000.partial"));
}

TEST(ArchiveIndex, PicksNamesOutInTheirOrder) {
    for (const char* name : {"000000010000000000000003", "00000002.history", "000000010000000000000001",
                             "000000010000000000000001.00000028.backup"}) {
        index.add(name, 1);
    }
    const std::vector<std::string> expected{"000000010000000000000001", "000000010000000000000001.00000028.backup"};
    CHECK(index.names_if([](const std::string& name) { return name < "000000010000000000000002"; }) == expected);
}

TEST(ArchiveIndex, CountsANameOnce) {
    index.add("000000010000000000000001", 10);
    index.add("000000010000000000000001", 30);
    index.add("00000002.history", 5);
    index.add("00000002.history", 6);
    LONGS_EQUAL(1, index.segment_count());
    LONGS_EQUAL(36, index.stored_bytes());
    index.remove("000000010000000000000001");
    index.remove("00000002.history");
    index.remove("00000009.history");
    LONGS_EQUAL(0, index.segment_count());
    LONGS_EQUAL(0, index.stored_bytes());
}

// One by one this takes minutes.
TEST(ArchiveIndex, RemovesManyInOnePass) {
    constexpr std::uint64_t count = 400000;
    std::vector<std::string> names{"00000002.history", "00000009.history", "000000010000000000000000"};
    for (std::uint64_t number = 1; number <= count; ++number) {
        std::string name = Segment{1, number}.name(SegmentSize());
        index.add(name, 10);
        if (number % 4 != 0) names.push_back(std::move(name));
    }
    index.add("00000002.history", 5);
    index.add("00000003.history", 7);
    index.remove_all(names);
    LONGS_EQUAL(count / 4, index.segment_count());
    LONGS_EQUAL(count / 4 * 10 + 7, index.stored_bytes());
    STRCMP_EQUAL("000000010000000000000004", index.first_segment()->c_str());
    CHECK(!index.has("000000010000000000000003"));
    CHECK(index.has("00000003.history"));
    CHECK(!index.has("00000002.history"));
}
