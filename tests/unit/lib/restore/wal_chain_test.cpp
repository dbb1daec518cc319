#include "lib/restore/wal_chain.h"

#include <CppUTest/TestHarness.h>

#include <cstdlib>
#include <fstream>

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t megabyte = 1 << 20;

Lsn at(double segments) {
    return Lsn{static_cast<std::uint64_t>(segments * megabyte)};
}

}  // namespace

TEST_GROUP(WalChain) {
    Path root;
    config::Server server;
    wal::SegmentSize size = *wal::SegmentSize::from_bytes(megabyte);
    // 1 was left in the middle of segment 7 for 2.
    const TimelinePath fork{{1, Lsn{}, at(7.5)}, {2, at(7.5), no_end}};
    const TimelinePath alone{{1, Lsn{}, no_end}};

    void setup() override {
        char name[] = "/tmp/coffer-chain-XXXXXX";
        root = ::mkdtemp(name);
        server.wals_directory = root / "wals";
        server.streaming_wals_directory = root / "streaming";
        server.incoming_wals_directory = root / "incoming";
        fs::create_directories(server.streaming_wals_directory);
        fs::create_directories(server.incoming_wals_directory);
    }
    void teardown() override {
        fs::remove_all(root);
    }

    void hold(TimelineId timeline, std::initializer_list<std::uint64_t> numbers) {
        for (const std::uint64_t number : numbers) {
            const std::string name = wal::Segment{timeline, number}.name(size);
            fs::create_directories(server.wals_directory / wal::archive_folder_of(name));
            std::ofstream(server.wals_directory / wal::archive_folder_of(name) / name) << "wal";
        }
    }
    // "1:5 1:6 2:7", an asterisk behind a piece that is cut, "!name" for the hole.
    std::string chain(const TimelinePath& path, double first) {
        const WalChain made = chain_from(wal::Holdings::scan(server, size), path, at(first));
        std::string text;
        for (const WalPiece& piece : made.pieces) {
            text += std::to_string(piece.segment.timeline) + ":" + std::to_string(piece.segment.number);
            text += piece.keep_bytes ? "* " : " ";
        }
        return text + (made.hole ? "!" + *made.hole : "");
    }
};

TEST(WalChain, GoesOnWhileSegmentsAreThere) {
    hold(1, {3, 5, 6, 7});
    STRCMP_EQUAL("1:5 1:6 1:7 ", chain(alone, 5.2).c_str());
    STRCMP_EQUAL("1:3 !000000010000000000000004", chain(alone, 3.9).c_str());
    STRCMP_EQUAL("!000000010000000000000004", chain(alone, 4.0).c_str());
    STRCMP_EQUAL("", chain(alone, 8.0).c_str());
}

TEST(WalChain, TakesEachSegmentFromTheNewestTimelineThatHasIt) {
    hold(1, {5, 6, 7, 8, 9});
    hold(2, {7, 8});
    STRCMP_EQUAL("1:5 1:6 2:7 2:8 ", chain(fork, 5.0).c_str());
}

TEST(WalChain, CutsOffWhatHappenedOnTheOtherBranch) {
    hold(1, {5, 6, 7, 8, 9});
    STRCMP_EQUAL("1:5 1:6 1:7* ", chain(fork, 5.0).c_str());
    hold(2, {8});
    STRCMP_EQUAL("1:5 1:6 1:7* !000000020000000000000007", chain(fork, 5.0).c_str());
}

TEST(WalChain, PrefersTheAncestorToAnUnfinishedFileThatEndsBeforeItsTimelineBegan) {
    hold(1, {6, 7});
    std::ofstream(server.streaming_wals_directory / "000000020000000000000007.partial") << "wal";
    const auto made = [&](bool reaches) {
        const auto answer = [&](const WalPiece& piece, Lsn began) {
            CHECK(piece.partial());
            CHECK(began == at(7.5));
            return reaches;
        };
        return chain_from(wal::Holdings::scan(server, size), fork, at(6), answer).pieces;
    };
    UNSIGNED_LONGS_EQUAL(2, made(true).back().segment.timeline);
    UNSIGNED_LONGS_EQUAL(1, made(false).back().segment.timeline);
    UNSIGNED_LONGS_EQUAL(megabyte / 2, *made(false).back().keep_bytes);
    fs::remove_all(server.wals_directory / "0000000100000000");
    hold(1, {6});
    UNSIGNED_LONGS_EQUAL(2, made(false).back().segment.timeline);
}

TEST(WalChain, DoesNotReadAnAncestorBehindASwitchAtASegmentsEnd) {
    hold(1, {5, 6, 7});
    hold(2, {7});
    const TimelinePath path{{1, Lsn{}, at(7)}, {2, at(7), no_end}};
    STRCMP_EQUAL("1:5 1:6 2:7 ", chain(path, 5.0).c_str());
    fs::remove_all(server.wals_directory / "0000000200000000");
    STRCMP_EQUAL("1:5 1:6 ", chain(path, 5.0).c_str());
}

TEST(WalChain, FindsThePieceOfAPosition) {
    hold(1, {5, 6});
    const WalChain made = chain_from(wal::Holdings::scan(server, size), alone, at(5.5));
    UNSIGNED_LONGS_EQUAL(0, *made.index_of(at(5.0)));
    UNSIGNED_LONGS_EQUAL(1, *made.index_of(at(6.999)));
    CHECK(!made.index_of(at(4.99)) && !made.index_of(at(7)));
}
