#include "lib/restore/branches.h"

#include <CppUTest/TestHarness.h>

#include <cstdlib>
#include <fstream>

#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

WallTime at_second(int second) {
    return parse_time("2026-11-23 10:00:00Z").time + std::chrono::seconds(second);
}

}  // namespace

TEST_GROUP(Branches) {
    test::WalBuilder wal;
    Path root;
    config::Server server;

    void setup() override {
        char name[] = "/tmp/coffer-branches-XXXXXX";
        root = ::mkdtemp(name);
        server.wals_directory = root / "wals";
        server.streaming_wals_directory = root / "streaming";
        server.incoming_wals_directory = root / "incoming";
        for (const Path& each :
             {server.wals_directory, server.streaming_wals_directory, server.incoming_wals_directory}) {
            fs::create_directories(each);
        }
    }
    void teardown() override {
        fs::remove_all(root);
    }

    std::vector<LeftCommit> left_out(Lsn left_at) {
        std::ofstream(server.streaming_wals_directory / (wal::Segment{1, 5}.name(wal.options().size) + ".partial"))
            << wal.segment(5);
        const auto holdings = wal::Holdings::scan(server, wal.options().size);
        return commits_left_out(server, holdings, {{1, Lsn{}, left_at}, {2, left_at, no_end}},
                                {wal.options().system_identifier, 15}, nullptr);
    }
};

TEST(Branches, TellOfTheFirstCommitBehindTheSwitch) {
    wal.commit(100, at_second(0));
    const Lsn left_at = wal.position();
    wal.filler(100);
    wal.abort(101, at_second(1));
    const Lsn lost = wal.commit(102, at_second(2));
    wal.commit(103, at_second(3));
    const auto left = left_out(left_at);
    LONGS_EQUAL(1, left.size());
    CHECK(left[0].first.start == lost && left[0].left_at == left_at && left[0].timeline == 1);
    const std::string text = describe(left[0]);
    CHECK(text.find("transaction 102") != text.npos && text.find("--target-tli 1") != text.npos);
}

TEST(Branches, TellNothingWhereNoCommitIsLost) {
    wal.commit(100, at_second(0));
    const Lsn left_at = wal.position();
    LONGS_EQUAL(0, left_out(left_at).size());
    wal.checkpoint(std::chrono::floor<std::chrono::seconds>(at_second(1)));
    wal.abort(101, at_second(1));
    LONGS_EQUAL(0, left_out(left_at).size());
    LONGS_EQUAL(0, left_out(Lsn{9 << 20}).size());  // nothing is held there
}
