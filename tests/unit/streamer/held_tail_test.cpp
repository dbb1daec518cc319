#include "streamer/held_tail.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/wal/page_header.h"
#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::streamer;

// Segments 5 and 6 of 1 MB.
TEST_GROUP(HeldTail) {
    test::ServerFixture fixture;
    test::WalBuilder wal;
    static constexpr Lsn boundary{6 << 20};

    std::string name(std::uint64_t number) const {
        return wal::Segment{1, number}.name(wal.options().size);
    }
    std::optional<HeldTail> tail(Lsn end, Lsn not_before = {}) const {
        return read_held_tail(fixture.server, wal.options().size, 1, end, not_before);
    }
    // What a server with this WAL sends.
    std::string sent(Lsn from, std::size_t bytes) const {
        const std::string all = wal.segment(5) + wal.segment(6);
        return all.substr(from.value - (5 << 20), bytes);
    }
};

TEST(HeldTail, IsTheLastPageAndTheOneBefore) {
    while (wal.position() < Lsn{(5 << 20) + 50000}) wal.filler(500);
    fixture.streaming(name(5) + ".partial", wal.segment(5));
    const Lsn end = wal.position();
    const auto found = tail(end);
    const std::uint64_t page = end.value - end.value % wal::page_size;
    UNSIGNED_LONGS_EQUAL(page - wal::page_size, found->from.value);
    CHECK(found->end == end);
    UNSIGNED_LONGS_EQUAL(end.value - found->from.value, found->content.size());
}

TEST(HeldTail, LiesBeforeThePaddingOfASwitch) {
    wal.filler(20000);
    const Lsn last = wal.switch_segment();
    fixture.archive(name(5), wal.segment(5));
    const auto found = tail(boundary);
    UNSIGNED_LONGS_EQUAL(last.value - last.value % wal::page_size - wal::page_size, found->from.value);
    UNSIGNED_LONGS_EQUAL(2 * wal::page_size, found->content.size());
    CHECK(found->end == boundary);
}

TEST(HeldTail, ReachesIntoTheSegmentBeforeWhenThatMayBe) {
    wal.fill_segment();
    wal.filler(300);
    fixture.archive(name(5), wal.segment(5));
    fixture.streaming(name(6) + ".partial", wal.segment(6));
    const Lsn end = wal.position();
    CHECK(tail(end)->from == Lsn{boundary.value - wal::page_size});
    CHECK(tail(end, boundary)->from == boundary);
    CHECK(!tail(end, end));
}

TEST(HeldTail, IsNoneWhereTheEndIsNotHere) {
    wal.filler(300);
    CHECK(!tail(wal.position()));
    fixture.streaming(name(5) + ".partial", wal.segment(5).substr(0, 200));
    CHECK(!tail(wal.position()));
    fixture.archive(name(5), "\x1f\x8b\x08 no gzip");
    CHECK(!tail(wal.position()));
}

TEST(HeldTail, TheSameWalInPiecesOfAnySizeGoesOnBehindIt) {
    while (wal.position() < Lsn{(5 << 20) + 50000}) wal.filler(500);
    fixture.streaming(name(5) + ".partial", wal.segment(5));
    const Lsn end = wal.position();
    wal.filler(1000);
    for (const std::size_t piece : {1U, 1000U, 8192U, 100000U}) {
        TailComparison comparison(*tail(end));
        const std::string all = sent(tail(end)->from, wal.position().value - tail(end)->from.value);
        std::size_t behind = 0;
        for (std::size_t at = 0; at < all.size(); at += piece)
            behind += comparison.take(as_byte_span(all).subspan(at, std::min(piece, all.size() - at))).size();
        CHECK(comparison.done());
        UNSIGNED_LONGS_EQUAL(wal.position().value - end.value, behind);
    }
}

TEST(HeldTail, OneOtherByteIsAnotherHistory) {
    while (wal.position() < Lsn{(5 << 20) + 50000}) wal.filler(500);
    fixture.streaming(name(5) + ".partial", wal.segment(5));
    const Lsn end = wal.position();
    TailComparison comparison(*tail(end));
    std::string other = sent(tail(end)->from, end.value - tail(end)->from.value);
    other.back() = static_cast<char>(other.back() ^ 1);
    CHECK(comparison.take(as_byte_span(other).first(100)).empty());
    try {
        (void)comparison.take(as_byte_span(other).subspan(100));
        FAIL("taken");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::server_mismatch);
        STRCMP_CONTAINS(Lsn{end.value - 1}.to_string().c_str(), error.what());
    }
    CHECK(!comparison.done());
}

TEST(HeldTail, ThePaddingOfASwitchIsNotJudged) {
    wal.filler(20000);
    wal.switch_segment();
    fixture.archive(name(5), wal.segment(5));
    TailComparison comparison(*tail(boundary));
    const Lsn from = tail(boundary)->from;
    std::string other = sent(from, boundary.value - from.value);
    other.back() = 'x';
    CHECK(comparison.take(as_byte_span(other)).empty());
    CHECK(comparison.done());
}

TEST(HeldTail, AWholeFileThatIsNotWhatWasSentIsNamed) {
    wal.filler(20000);
    wal.switch_segment();
    wal.filler(300);
    std::string content = wal.segment(5);
    fixture.archive(name(5), content);
    fixture.streaming(name(6) + ".partial", wal.segment(6));
    const Lsn end = wal.position();
    CHECK(!damaged_file(*tail(end), wal.options().size));
    content[9000] = static_cast<char>(content[9000] ^ 1);
    fixture.archive(name(5), content);
    CHECK(damaged_file(*tail(end), wal.options().size) == wal::archive_path(fixture.server, name(5)));
    CHECK(!damaged_file(*tail(end, boundary), wal.options().size));
}
