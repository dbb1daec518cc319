#include "lib/wal/segment_name.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::wal;

namespace {

SegmentSize megabytes(std::uint64_t count) {
    return *SegmentSize::from_bytes(count << 20);
}

}  // namespace

TEST_GROUP(SegmentName){};

TEST(SegmentName, TakesOnlyPowersOfTwoBetweenOneMegabyteAndOneGigabyte) {
    for (std::uint64_t size = 1ULL << 20; size <= 1ULL << 30; size *= 2) {
        CHECK(SegmentSize::from_bytes(size).has_value());
        UNSIGNED_LONGS_EQUAL(0x100000000ULL / size, SegmentSize::from_bytes(size)->per_log());
    }
    for (const std::uint64_t size : {0ULL, 1ULL, 512ULL << 10, 3ULL << 20, (16ULL << 20) + 1, 2ULL << 30}) {
        CHECK(!SegmentSize::from_bytes(size).has_value());
    }
    UNSIGNED_LONGS_EQUAL(16ULL << 20, SegmentSize().bytes());
}

TEST(SegmentName, NamesTheSegmentThatHoldsAPosition) {
    const struct {
        std::uint64_t size_mb;
        TimelineId timeline;
        std::uint64_t lsn;
        const char* name;
    } cases[] = {
        {1, 1, 0x01000028, "000000010000000000000010"},      {1, 1, 0xFFFFFFFF, "000000010000000000000FFF"},
        {16, 1, 0x016B3748, "000000010000000000000001"},     {16, 1, 0xFFFFFFFF, "0000000100000000000000FF"},
        {16, 1, 0x100000000, "000000010000000100000000"},    {16, 0x1F, 0x1AFF000028, "0000001F0000001A000000FF"},
        {64, 2, 0x1AFF000028, "000000020000001A0000003F"},   {1024, 3, 0x1AFF000028, "000000030000001A00000003"},
        {1024, 3, 0x1B00000000, "000000030000001B00000000"},
    };
    for (const auto& row : cases) {
        const SegmentSize size = megabytes(row.size_mb);
        const Segment segment = Segment::containing(row.timeline, Lsn{row.lsn}, size);
        STRCMP_EQUAL(row.name, segment.name(size).c_str());
        CHECK(segment.begin(size) <= Lsn{row.lsn});
        CHECK(Lsn{row.lsn} < segment.end(size));
    }
}

TEST(SegmentName, ReadsEveryNameItWritesWhateverTheSize) {
    for (std::uint64_t mb = 1; mb <= 1024; mb *= 2) {
        const SegmentSize size = megabytes(mb);
        for (const std::uint64_t number : {std::uint64_t{1}, size.per_log() - 1, size.per_log(), 7 * size.per_log() + 1,
                                           std::uint64_t{0xFFFFFFFF} * size.per_log() + size.per_log() - 1}) {
            const Segment segment{0xFFFFFFFF, number};
            CHECK(Segment::parse(segment.name(size), size) == segment);
        }
        CHECK((Segment{1, size.per_log() - 1}.next().name(size)) == "000000010000000100000000");
    }
}

TEST(SegmentName, RefusesNamesThatCannotExistWithTheSize) {
    CHECK(Segment::parse("0000000100000000000000FF", megabytes(16)).has_value());
    CHECK(!Segment::parse("000000010000000000000100", megabytes(16)).has_value());
    CHECK(!Segment::parse("0000000100000000000000FF", megabytes(32)).has_value());
    CHECK(!Segment::parse("000000010000000000000004", megabytes(1024)).has_value());
    CHECK(!Segment::parse("000000010000000000001000", megabytes(1)).has_value());
    for (const char* name :
         {"", "00000001000000000000000", "0000000100000000000000010", "00000001000000000000000a",
          "00000001000000000000000G", "000000010000000000000001.partial", "000000000000000000000001"}) {
        CHECK_TEXT(!Segment::parse(name, megabytes(16)).has_value(), name);
    }
}

TEST(SegmentName, KnowsTheKindOfAFileByItsName) {
    const struct {
        const char* name;
        FileKind kind;
    } cases[] = {
        {"000000010000000000000001", FileKind::segment},
        {"0000000100000000FFFFFFFF", FileKind::segment},
        {"000000010000000000000001.partial", FileKind::partial},
        {"00000002.history", FileKind::history},
        {"000000010000000000000001.00000028.backup", FileKind::backup_label},
        {"000000010000000000000001.tmp", FileKind::temporary},
        {"00000002.history.tmp", FileKind::temporary},
        {".000000010000000000000001.tmp", FileKind::temporary},
        {".hidden", FileKind::temporary},
        {"", FileKind::unknown},
        {"00000001000000000000000a", FileKind::unknown},
        {"000000010000000000000001.partial2", FileKind::unknown},
        {"000000010000000000000001.gz", FileKind::unknown},
        {"0000002.history", FileKind::unknown},
        {"0000000g.history", FileKind::unknown},
        {"000000010000000000000001.0000028.backup", FileKind::unknown},
        {"00000001000000000000000x.00000028.backup", FileKind::unknown},
        {"000000010000000000000001.00000028-backup", FileKind::unknown},
        {"xlog.db", FileKind::unknown},
    };
    for (const auto& row : cases) CHECK_TEXT(kind_of(row.name) == row.kind, row.name);
}

TEST(SegmentName, KeepsFilesWhereBarmanKeepsThem) {
    STRCMP_EQUAL("0000000A.history", history_name(10).c_str());
    STRCMP_EQUAL("", archive_folder_of("0000000A.history").c_str());
    for (const char* name :
         {"000000010000001A000000A7", "000000010000001A000000A7.partial", "000000010000001A000000A7.00000028.backup"}) {
        STRCMP_EQUAL("000000010000001A", archive_folder_of(name).c_str());
    }
}
