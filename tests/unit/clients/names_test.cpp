#include "tools/clients/names.h"

#include <CppUTest/TestHarness.h>

#include "lib/wal/segment_name.h"

using namespace coffer;
using namespace coffer::clients;

TEST_GROUP(ClientNames){};

TEST(ClientNames, KnowsWhatARestoreCommandIsAskedFor) {
    for (const char* name :
         {"000000010000000000000001", "00000002.history", "000000010000000000000001.0000002A.backup"}) {
        CHECK(is_wal_name(name));
    }
    for (const char* name :
         {"", "00000001000000000000000a", "0000000100000000000000011", "00000002.histor", "../0000002.history",
          "000000010000000000000001.partial", "RECOVERYXLOG", "000000010000000000000001x0000002A.backup"}) {
        CHECK_FALSE(is_wal_name(name));
    }
}

TEST(ClientNames, CountsAsTheBoxDoesWithEverySizeOfSegments) {
    for (std::uint64_t bytes = std::uint64_t{1} << 20; bytes <= std::uint64_t{1} << 30; bytes *= 2) {
        const auto size = *wal::SegmentSize::from_bytes(bytes);
        wal::Segment segment{3, size.per_log() * 7 - 2};
        for (int step = 0; step < 4; ++step, segment = segment.next()) {
            const auto next = next_name(segment.name(size), bytes);
            CHECK(next.has_value());
            STRCMP_EQUAL(segment.next().name(size).c_str(), next->c_str());
        }
    }
}

TEST(ClientNames, NothingFollowsWhatIsNoSegment) {
    CHECK_FALSE(next_name("00000002.history", std::uint64_t{16} << 20).has_value());
    CHECK_FALSE(next_name("000000010000000000000001", 0).has_value());
    CHECK_FALSE(next_name("000000010000000000000001", 12345678).has_value());
    CHECK_FALSE(next_name("0000000100000000000FFFFF", std::uint64_t{16} << 20).has_value());
    CHECK_FALSE(next_name("00000001FFFFFFFF000000FF", std::uint64_t{16} << 20).has_value());
}
