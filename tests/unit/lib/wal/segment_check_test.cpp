#include "lib/wal/segment_check.h"

#include <CppUTest/TestHarness.h>
#include <algorithm>
#include <vector>

#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;
using coffer::test::WalBuilder;
using coffer::test::WalOptions;

namespace {

Expected expected_of(const WalBuilder& wal, std::uint64_t number) {
    const WalOptions& options = wal.options();
    return {{options.first.timeline, number}, options.size, options.system_identifier, options.major_version};
}

SegmentCheck check(const WalBuilder& wal, std::uint64_t number, bool unfinished_allowed = false) {
    const std::string data = wal.segment(number);
    return check_segment(as_byte_span(data), expected_of(wal, number), unfinished_allowed);
}

void expect_damage(const SegmentCheck& check, Lsn at, const char* text) {
    CHECK(!check.complete);
    CHECK(check.damage.has_value());
    STRCMP_CONTAINS(text, check.damage->what.c_str());
    STRCMP_EQUAL(at.to_string().c_str(), check.damage->at.to_string().c_str());
}

}  // namespace

TEST_GROUP(SegmentCheck){};

TEST(SegmentCheck, FindsFullSegmentsOfEveryVersionAndSizeComplete) {
    for (std::uint32_t version = 13; version <= 18; ++version) {
        for (const std::uint64_t mb : {1, version == 15 ? 16 : 2}) {
            WalBuilder wal({version, *SegmentSize::from_bytes(mb << 20), {1, 5}, 77});
            wal.fill_segment();
            wal.fill_segment();
            for (const std::uint64_t number : {5, 6}) {
                const SegmentCheck result = check(wal, number);
                CHECK(result.complete);
                CHECK(!result.damage);
                const std::uint64_t end = Segment{1, number}.end(wal.options().size).value;
                CHECK(result.valid_end <= Lsn{end});
                CHECK(result.valid_end > Lsn{end - 2000});
            }
        }
    }
}

TEST(SegmentCheck, AcceptsARecordLongerThanSegments) {
    WalBuilder wal;
    wal.filler(100);
    const Lsn start = wal.filler(3 << 20);
    wal.fill_segment();
    CHECK(check(wal, 5).complete);
    CHECK(check(wal, 5).valid_end == start);
    for (const std::uint64_t number : {6, 7}) {
        CHECK(check(wal, number).complete);
        CHECK(check(wal, number).valid_end == Lsn{number << 20});
    }
    CHECK(check(wal, 8).complete);
}

TEST(SegmentCheck, TakesASwitchRecordAndZerosAsComplete) {
    WalBuilder wal;
    wal.filler(5000);
    wal.switch_segment();
    wal.filler(10);
    for (const bool unfinished_allowed : {false, true}) {
        const SegmentCheck result = check(wal, 5, unfinished_allowed);
        CHECK(result.complete);
        CHECK(!result.damage);
        CHECK(result.valid_end == Lsn{6 << 20});
    }
}

// A server that crashed before it cleared the rest of a recycled file leaves such a segment, and recovery takes it.
TEST(SegmentCheck, IgnoresOldBytesBehindASwitchRecord) {
    WalBuilder wal;
    wal.switch_segment();
    for (const std::size_t offset : {std::size_t{100}, std::size_t{8192}, std::size_t{8300}, std::size_t{500000}}) {
        std::string data = wal.segment(5);
        data[offset] = 1;
        for (const bool unfinished_allowed : {false, true}) {
            const SegmentCheck result = check_segment(as_byte_span(data), expected_of(wal, 5), unfinished_allowed);
            CHECK(!result.damage);
            CHECK(result.complete);
            CHECK(result.valid_end == Lsn{6 << 20});
        }
    }
}

TEST(SegmentCheck, FindsTheEndOfAnUnfinishedSegment) {
    WalBuilder wal;
    for (int i = 0; i < 100; ++i) {
        wal.filler(static_cast<std::size_t>(i) * 37);
        const SegmentCheck result = check(wal, 5, true);
        CHECK(!result.complete);
        CHECK(!result.damage);
        CHECK(result.valid_end == wal.position());
        expect_damage(check(wal, 5), wal.position(), "empty");
    }
}

TEST(SegmentCheck, CutsAnUnfinishedSegmentAtTheLastWholeRecordWhereverItIsCut) {
    WalBuilder wal;
    std::vector<Lsn> ends{Lsn{5 << 20}};
    for (std::size_t i = 0; i < 60; ++i) {
        wal.filler(i * 17);
        ends.push_back(wal.position());
    }
    const std::string data = wal.segment(5).substr(0, wal.position().value - (5 << 20));
    for (std::size_t cut = 0; cut <= data.size(); cut += 3) {
        const Lsn limit = Lsn{5 << 20} + cut;
        const Lsn expected = *std::find_if(ends.rbegin(), ends.rend(), [limit](Lsn end) { return end <= limit; });
        const auto part = as_byte_span(data).first(cut);
        const SegmentCheck result = check_segment(part, expected_of(wal, 5), true);
        CHECK(!result.damage);
        CHECK_TEXT(result.valid_end == expected, result.valid_end.to_string().c_str());
    }
}

TEST(SegmentCheck, StopsWhereARecycledFileStillHoldsItsOlderUse) {
    WalBuilder old_use({15, *SegmentSize::from_bytes(1 << 20), {1, 3}, 7312000000000000001ULL});
    old_use.fill_segment();
    WalBuilder wal;
    for (int i = 0; i < 50; ++i) wal.filler(1000);
    std::string data = old_use.segment(3);
    const std::size_t written = (wal.position().value - (5 << 20) + 8191) / 8192 * 8192;
    data.replace(0, written, wal.segment(5), 0, written);
    const SegmentCheck result = check_segment(as_byte_span(data), expected_of(wal, 5), true);
    CHECK(!result.damage);
    CHECK(result.valid_end == wal.position());
}

TEST(SegmentCheck, FindsEveryFlippedByteThatMatters) {
    WalBuilder wal;
    const Lsn first = wal.filler(100);
    const Lsn second = wal.filler(20000);  // over three pages
    wal.fill_segment();
    const Lsn begin{5 << 20};
    const struct {
        Lsn byte;
        Lsn at;
        const char* text;
    } cases[] = {
        {begin, begin, "unknown magic"},
        {begin + 2, begin, "impossible flags"},
        {begin + 4, begin, "timeline"},
        {begin + 9, begin, "address"},
        {begin + 25, begin, "system identifier"},
        {begin + 33, begin, "segment size"},
        {begin + 37, begin, "block size"},
        {begin + 8192, begin + 8192, "unknown magic"},
        {begin + 8192 + 2, begin + 8192, ""},
        {begin + 8192 + 10, begin + 8192, "address"},
        {begin + 8192 + 16, begin + 8192, "continued record"},
        {first, first, ""},
        {second + 8, second, "the one before"},
        {first + 16, first, "CRC"},
        {first + 20, first, "CRC"},
        {first + 50, first, "CRC"},
        {second + 9000, second, "CRC"},
        {second + 19000, second, "CRC"},
    };
    for (const auto& row : cases) {
        std::string data = wal.segment(5);
        data[row.byte.value - begin.value] = static_cast<char>(data[row.byte.value - begin.value] ^ 0x40);
        const SegmentCheck result = check_segment(as_byte_span(data), expected_of(wal, 5), false);
        expect_damage(result, row.at, row.text);
    }
}

TEST(SegmentCheck, RefusesWhatBelongsElsewhere) {
    WalBuilder wal;
    wal.fill_segment();
    const std::string data = wal.segment(5);
    const struct {
        Expected expected;
        const char* text;
    } cases[] = {
        {{{1, 6}, wal.options().size, wal.options().system_identifier, 15}, "address 0/500000 instead of 0/600000"},
        {{{1, 5}, wal.options().size, 4711, 15}, "system identifier 7312000000000000001 instead of 4711"},
        {{{1, 5}, wal.options().size, wal.options().system_identifier, 17}, "version 15 instead of version 17"},
    };
    for (const auto& row : cases) {
        for (const bool unfinished_allowed : {false, true}) {
            const SegmentCheck result = check_segment(as_byte_span(data), row.expected, unfinished_allowed);
            expect_damage(result, row.expected.segment.begin(row.expected.size), row.text);
        }
    }
}

TEST(SegmentCheck, AcceptsPagesOfTheOldTimelineInFrontOfTheNewOnes) {
    WalBuilder wal;
    wal.filler(20000);
    wal.set_timeline(3);
    wal.fill_segment();
    Expected expected = expected_of(wal, 5);
    expected.segment.timeline = 3;
    const std::string data = wal.segment(5);
    CHECK(check_segment(as_byte_span(data), expected, false).complete);
    expected.segment.timeline = 2;
    CHECK(check_segment(as_byte_span(data), expected, false).damage.has_value());
}

TEST(SegmentCheck, AcceptsARecordThatACrashCutOff) {
    WalBuilder wal;
    wal.filler(100);
    wal.abandon(20000);
    wal.filler(100);
    wal.fill_segment();
    CHECK(check(wal, 5).complete);
    CHECK(!check(wal, 5).damage);
}

TEST(SegmentCheck, RefusesFilesThatAreTooShortOrTooLong) {
    WalBuilder wal;
    wal.fill_segment();
    const std::string data = wal.segment(5);
    const Expected expected = expected_of(wal, 5);
    CHECK(check_segment({}, expected, false).damage.has_value());
    CHECK(check_segment(as_byte_span(data).first(8192), expected, false).damage.has_value());
    CHECK(check_segment(as_byte_span(data).first(data.size() - 1), expected, false).damage.has_value());
    CHECK(check_segment(as_byte_span(data + "x"), expected, false).damage.has_value());
    CHECK(!check_segment({}, expected, true).damage.has_value());
    CHECK(check_segment({}, expected, true).valid_end == Lsn{5 << 20});
}

TEST(SegmentCheck, IsTheSameForDataInPiecesOfAnySize) {
    WalBuilder wal;
    wal.fill_segment();
    const std::string data = wal.segment(5);
    const SegmentCheck whole = check(wal, 5);
    for (const std::size_t piece : {1, 100, 8191, 8192, 8193, 100000}) {
        SegmentChecker checker(expected_of(wal, 5), false);
        for (std::size_t at = 0; at < data.size(); at += piece) {
            checker.add(as_byte_span(data).subspan(at, std::min(piece, data.size() - at)));
        }
        const SegmentCheck result = checker.result();
        CHECK(result.complete);
        CHECK(result.valid_end == whole.valid_end);
    }
}

TEST(SegmentCheck, ReadsWhatASegmentSaysOfItself) {
    WalBuilder wal({17, *SegmentSize::from_bytes(4 << 20), {3, 9}, 4711});
    wal.filler(10);
    const std::string data = wal.segment(9);
    const auto identity = identify_segment(as_byte_span(data));
    CHECK(identity.has_value());
    UNSIGNED_LONGS_EQUAL(17, identity->major_version);
    UNSIGNED_LONGS_EQUAL(3, identity->timeline);
    UNSIGNED_LONGS_EQUAL(4711, identity->system_identifier);
    UNSIGNED_LONGS_EQUAL(4 << 20, identity->size.bytes());
    CHECK(identity->address == Lsn{9 * (4 << 20)});
    CHECK(!identify_segment({}).has_value());
    CHECK(!identify_segment(as_byte_span(data).first(39)).has_value());
    CHECK(!identify_segment(as_byte_span(data).subspan(1)).has_value());
}
