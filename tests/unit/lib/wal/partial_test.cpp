#include "lib/wal/partial.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

TEST_GROUP(Partial) {
    test::ServerFixture box;
    test::WalBuilder wal;

    DurableQuery query() const {
        return {wal.options().size, wal.options().system_identifier, 15, std::nullopt};
    }
};

TEST(Partial, IsNothingWhereNothingIs) {
    CHECK(!streamed_end(box.server, query()));
    CHECK(!durable_end(box.server, query()));
}

TEST(Partial, EndsAtTheLastWholeRecord) {
    wal.fill_segment();
    wal.filler(5000);
    box.streaming("000000010000000000000005", wal.segment(5));
    box.streaming("000000010000000000000006.partial", wal.segment(6));
    const auto end = streamed_end(box.server, query());
    CHECK(end.has_value());
    CHECK(end->segment == (Segment{1, 6}));
    CHECK(end->partial);
    CHECK(!end->complete);
    CHECK(end->valid_end == wal.position());
}

TEST(Partial, SyncsTheFileBeforeItPromisesAnything) {
    class Recorder : public Files {
      public:
        int syncs = 0;
        void sync_data(int fd, const Path& path) override {
            ++syncs;
            Files::sync_data(fd, path);
        }
    } recorder;
    wal.filler(5000);
    box.streaming("000000010000000000000005.partial", wal.segment(5));
    const ScopedFiles scope(recorder);
    CHECK(streamed_end(box.server, query()).has_value());
    LONGS_EQUAL(1, recorder.syncs);
}

TEST(Partial, IsTheEndOfTheSegmentWhenOnlyTheRenameIsMissing) {
    wal.fill_segment();
    box.streaming("000000010000000000000005.partial", wal.segment(5));
    const auto end = streamed_end(box.server, query());
    CHECK(end->complete);
    CHECK(end->partial);
    CHECK(end->valid_end == Lsn{6 << 20});
}

TEST(Partial, OfTheNewestTimelineCountsUnlessOneIsNamed) {
    wal.filler(5000);
    test::WalBuilder newer({15, wal.options().size, {2, 5}, wal.options().system_identifier});
    newer.filler(20000);
    box.streaming("000000010000000000000005.partial", wal.segment(5));
    box.streaming("000000020000000000000005.partial", newer.segment(5));
    DurableQuery wanted = query();
    CHECK(streamed_end(box.server, wanted)->valid_end == newer.position());
    wanted.timeline = 1;
    CHECK(streamed_end(box.server, wanted)->valid_end == wal.position());
    wanted.timeline = 3;
    CHECK(!streamed_end(box.server, wanted));
}

TEST(Partial, GoesOnThroughTheArchive) {
    wal.fill_segment();
    wal.fill_segment();
    box.archive("000000010000000000000005", wal.segment(5));
    CHECK(durable_end(box.server, query())->valid_end == Lsn{6 << 20});
    box.streaming("000000010000000000000005.partial", std::string(1 << 20, '\0'));
    box.archive("000000010000000000000006", wal.segment(6));
    CHECK(streamed_end(box.server, query())->valid_end == Lsn{5 << 20});
    const auto end = durable_end(box.server, query());
    CHECK(end->segment == (Segment{1, 6}));
    CHECK(end->complete);
    CHECK(!end->partial);
}

TEST(Partial, OfAnotherServerIsAnError) {
    wal.filler(5000);
    box.streaming("000000010000000000000005.partial", wal.segment(5));
    DurableQuery wanted = query();
    wanted.system_identifier = 4711;
    CHECK_THROWS(Error, streamed_end(box.server, wanted));
}
