#include "lib/wal/transactions.h"

#include <CppUTest/TestHarness.h>
#include <vector>

#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;
using namespace std::chrono_literals;
using coffer::test::WalBuilder;

namespace {

constexpr WallTime noon = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + 12h;

}  // namespace

TEST_GROUP(Transactions) {
    test::ServerFixture box;
    Lsn begin{5 << 20};

    void put(const WalBuilder& wal, std::uint64_t number, bool partial = false) const {
        const std::string name = Segment{wal.options().first.timeline, number}.name(wal.options().size);
        if (partial) {
            box.streaming(name + ".partial", wal.segment(number));
        } else {
            box.archive(name, wal.segment(number));
        }
    }

    template <typename Use>
    void read(const Use& use, const TimelinePath& path = TimelinePath(1)) const {
        const Holdings holdings = Holdings::scan(box.server, *SegmentSize::from_bytes(1 << 20));
        use(source_of(box.server, holdings, path));
    }
};

TEST(Transactions, AreReadInEveryVersionPreparedOnesWithTheirOwnNumber) {
    for (std::uint32_t version = 13; version <= 18; ++version) {
        WalBuilder wal({version, *SegmentSize::from_bytes(1 << 20), {1, 5}, 77});
        wal.commit(731, noon);
        wal.abort(732, noon + 1s);
        wal.filler(9000);
        wal.commit_prepared(733, noon + 2s);
        wal.abort_prepared(734, noon + 3s);
        wal.restore_point("before the drop", noon + 4s);
        wal.checkpoint(std::chrono::floor<std::chrono::seconds>(noon + 5s));
        put(wal, 5, true);
        std::vector<LogEvent> events;
        read([&](const LogSource& source) {
            const ReadEnd end = read_events(source, begin, [&](const LogEvent& event) {
                events.push_back(event);
                return true;
            });
            CHECK(end.reason == ReadEnd::Reason::end_of_log);
            CHECK(end.end == wal.position());
        });
        LONGS_EQUAL(6, events.size());
        const EventKind kinds[] = {EventKind::commit, EventKind::abort,         EventKind::commit,
                                   EventKind::abort,  EventKind::restore_point, EventKind::checkpoint};
        for (std::size_t i = 0; i < events.size(); ++i) {
            CHECK(events[i].kind == kinds[i]);
            CHECK(events[i].time == noon + std::chrono::seconds(i));
            if (i < 4) UNSIGNED_LONGS_EQUAL(731 + i, events[i].xid);
        }
        STRCMP_EQUAL("before the drop", events[4].name.c_str());
        UNSIGNED_LONGS_EQUAL(1, events[5].timeline);
    }
}

TEST(Transactions, AreFoundAcrossSegmentsByNumberNameAndTime) {
    WalBuilder wal;
    wal.commit(1, noon);
    wal.fill_segment();
    wal.commit(2, noon + 10s);
    wal.switch_segment();
    wal.filler(3 << 19);  // over a segment's border
    wal.restore_point("here", noon + 15s);
    const Lsn third = wal.commit(3, noon + 20s);
    for (const std::uint64_t number : {5, 6, 7}) put(wal, number);
    put(wal, 8, true);
    read([&](const LogSource& source) {
        CHECK(find_commit_of_xid(source, begin, 3)->start == third);
        CHECK(!find_commit_of_xid(source, begin, 4));
        CHECK(!find_commit_of_xid(source, begin + 1000, 1));
        CHECK(find_restore_point(source, begin, "here")->end == third);
        CHECK(!find_restore_point(source, begin, "there"));
        UNSIGNED_LONGS_EQUAL(2, find_stop_at_time(source, begin, noon, true)->xid);
        UNSIGNED_LONGS_EQUAL(1, find_stop_at_time(source, begin, noon, false)->xid);
        UNSIGNED_LONGS_EQUAL(3, find_stop_at_time(source, begin, noon + 20s, false)->xid);
        CHECK(!find_stop_at_time(source, begin, noon + 20s, true));
        CHECK(last_commit_time(source, begin) == noon + 20s);
        CHECK(!last_commit_time(source, wal.position()));
    });
}

TEST(Transactions, BehindAHoleAreOutOfReach) {
    WalBuilder wal;
    wal.commit(1, noon);
    wal.fill_segment();
    wal.fill_segment();
    wal.commit(2, noon + 10s);
    put(wal, 5);
    put(wal, 7, true);
    read([&](const LogSource& source) {
        CHECK(last_commit_time(source, begin) == noon);
        const ReadEnd end = read_events(source, begin, [](const LogEvent&) { return true; });
        CHECK(end.reason == ReadEnd::Reason::missing);
        UNSIGNED_LONGS_EQUAL(6, end.next_segment);
    });
}

TEST(Transactions, OfAGivenUpHistoryAreNotSeen) {
    WalBuilder old;
    old.commit(1, noon);
    old.filler(5000);
    WalBuilder fresh = old;
    const Lsn left = old.position();
    old.commit(2, noon + 5s);  // after the point where timeline 2 began
    old.fill_segment();
    fresh.set_timeline(2);
    fresh.filler(20000);
    fresh.commit(3, noon + 10s);
    put(old, 5);
    const TimelinePath path(TimelineHistory{2, {{1, left, "test"}}});
    read(
        [&](const LogSource& source) {
            CHECK(last_commit_time(source, begin) == noon);
            CHECK(!find_commit_of_xid(source, begin, 2));
            CHECK(read_events(source, begin, [](const LogEvent&) { return true; }).reason == ReadEnd::Reason::limit);
        },
        path);
    box.streaming("000000020000000000000005.partial", fresh.segment(5));
    // The name's size is 1 MB: segment 5 of timeline 2.
    read(
        [&](const LogSource& source) {
            CHECK(last_commit_time(source, begin) == noon + 10s);
            CHECK(!find_commit_of_xid(source, begin, 2));
        },
        path);
    read([&](const LogSource& source) { CHECK(last_commit_time(source, begin) == noon + 5s); });
}

TEST(Transactions, EndAtDamageWithItsPlace) {
    WalBuilder wal;
    wal.commit(1, noon);
    const Lsn bad = wal.commit(2, noon + 5s);
    wal.fill_segment();
    std::string data = wal.segment(5);
    data[bad.value - begin.value + 30] ^= 1;
    box.archive("000000010000000000000005", data);
    read([&](const LogSource& source) {
        const ReadEnd end = read_events(source, begin, [](const LogEvent&) { return true; });
        CHECK(end.reason == ReadEnd::Reason::damage);
        CHECK(end.stopped->at == bad);
        CHECK(end.end == bad);
    });
}

TEST(Transactions, WhosePartsDoNotFitAreNoEvents) {
    WalBuilder wal;
    const std::string time(8, '\0');
    wal.record(1, 0x00, 5, "short");
    wal.record(1, 0xB0, 5, time);
    wal.record(1, 0xB0, 5, time + std::string("\x12\0\0\0\xFF\xFF\xFF\xFF", 8));  // 4 billion subtransactions
    wal.record(1, 0xB0, 5, time + std::string("\x10\0\0\0\1", 5));
    wal.record(0, 0x70, 0, "name without its 64 bytes");
    wal.record(0, 0x10, 0, "x");
    wal.record(0, 0x90, 0, "x");
    put(wal, 5, true);
    read([&](const LogSource& source) {
        const ReadEnd end = read_events(source, begin, [](const LogEvent&) { return false; });
        CHECK(end.reason == ReadEnd::Reason::end_of_log);
    });
}
