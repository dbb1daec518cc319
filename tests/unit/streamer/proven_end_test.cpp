#include "streamer/proven_end.h"

#include <CppUTest/TestHarness.h>

#include <cstring>
#include <fstream>

#include "lib/wal/holdings.h"
#include "streamer/timeline_seed.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::streamer;
namespace fs = std::filesystem;

// Segments 5 and 6 of 1 MB; a record of 20000 bytes begins at the end of 5 and goes on over three pages of 6.
TEST_GROUP(ProvenEnd) {
    test::WalBuilder wal;
    Path root;
    config::Server server;
    Lsn crossing, behind;

    void setup() override {
        char name[] = "/tmp/coffer-proven-XXXXXX";
        root = ::mkdtemp(name);
        server.name = "main";
        server.wals_directory = root / "wals";
        server.incoming_wals_directory = root / "incoming";
        server.streaming_wals_directory = root / "streaming";
        for (const char* folder : {"wals/0000000100000000", "incoming", "streaming"})
            fs::create_directories(root / folder);
        while ((6 << 20) - wal.position().value > 9000) wal.filler(4000);
        crossing = wal.filler(20000);
        behind = wal.filler(100);
    }
    void teardown() override {
        fs::remove_all(root);
    }

    std::string name(std::uint64_t number) const {
        return wal::Segment{1, number}.name(wal.options().size);
    }
    Path put(const char* folder, const std::string& file, const std::string& bytes) const {
        std::ofstream(root / folder / file) << bytes;
        return root / folder / file;
    }
    Lsn end_of(const std::string& content) const {
        wal::Expected expected;
        expected.segment = {1, 6};
        expected.size = wal.options().size;
        expected.system_identifier = wal.options().system_identifier;
        return proven_end(server, put("streaming", name(6) + ".partial", content), expected);
    }
};

TEST(ProvenEnd, CountsTheRestOfARecordWhenTheSegmentBeforeProvesIt) {
    CHECK(crossing < Lsn{6 << 20} && behind > Lsn{6 << 20});
    put("wals/0000000100000000", name(5), wal.segment(5));
    CHECK(end_of(wal.segment(6)) == wal.position());
}

TEST(ProvenEnd, TakesNothingForProvenWithoutTheSegmentBefore) {
    CHECK(end_of(wal.segment(6)) == Lsn{6 << 20});
    put("wals/0000000100000000", name(5), wal.segment(5).substr(0, 500000));
    CHECK(end_of(wal.segment(6)) == Lsn{6 << 20});
}

TEST(ProvenEnd, FindsZerosThatACrashLeftWithinTheRest) {
    put("wals/0000000100000000", name(5), wal.segment(5));
    std::string torn = wal.segment(6);
    std::memset(torn.data() + 4096, 0, 4096);
    CHECK(end_of(torn) == Lsn{6 << 20});
}

TEST(ProvenEnd, TheFirstFileOfATimelineBeginsWithWhatTheOldOneHolds) {
    const std::string old = wal.segment(6);
    const Lsn at = behind;
    put("streaming", name(6) + ".partial", old);
    seed_timeline(server, wal.options().size, 1, 2, at);
    const std::string newer = wal::Segment{2, 6}.name(wal.options().size) + ".partial";
    const std::string seeded = read_file(root / "streaming" / newer).value();
    const std::size_t bytes = at.value - (6 << 20);
    UNSIGNED_LONGS_EQUAL(1 << 20, seeded.size());
    CHECK(seeded.substr(0, bytes) == old.substr(0, bytes));
    CHECK(seeded.find_first_not_of('\0', bytes) == std::string::npos);
    // What is there stays: it may hold more.
    put("streaming", newer, "more");
    seed_timeline(server, wal.options().size, 1, 2, at);
    CHECK(read_file(root / "streaming" / newer) == "more");
}

TEST(ProvenEnd, NoFileOfATimelineAppearsWithLess) {
    put("streaming", name(6) + ".partial", wal.segment(6).substr(0, 8192));
    seed_timeline(server, wal.options().size, 1, 2, behind);
    seed_timeline(server, wal.options().size, 3, 4, behind);
    seed_timeline(server, wal.options().size, 1, 2, Lsn{6 << 20});
    LONGS_EQUAL(1, std::distance(fs::directory_iterator(root / "streaming"), {}));
}
