#include <CppUTest/TestHarness.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "lib/base/error.h"
#include "lib/restore/execute.h"
#include "lib/restore/new_tablespaces.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t middle = 1 << 19;

// Two segments of 1 MB, of which the last has a flipped bit there, or none.
class Box {
  public:
    // before_end: how many bytes of the record that lies in both are in the first.
    explicit Box(std::optional<std::size_t> flipped = middle, std::optional<std::uint64_t> before_end = {}) {
        char name[] = "/tmp/coffer-place-XXXXXX";
        root = ::mkdtemp(name);
        if (before_end) {
            fill_up_to(*before_end);
        } else {
            wal.fill_segment();
        }
        wal.fill_segment();
        plan.identity = {wal.options().system_identifier, 15};
        plan.chain.size = wal.options().size;
        plan.target.kind = TargetKind::lsn;
        for (const std::uint64_t number : {5, 6}) {
            WalPiece piece;
            piece.segment = {1, number};
            piece.file.name = piece.segment.name(plan.chain.size);
            piece.file.path = root / piece.file.name;
            std::string bytes = wal.segment(number);
            if (number == 6 && flipped) bytes[*flipped] ^= 1;
            std::ofstream(piece.file.path) << bytes;
            plan.chain.pieces.push_back(std::move(piece));
        }
    }
    ~Box() { fs::remove_all(root); }

    void prove(double segments) {
        const auto distance = static_cast<std::uint64_t>(segments * static_cast<double>(plan.chain.size.bytes()));
        plan.end.end = Lsn{plan.chain.begin().value + distance};
        NewTablespaces tablespaces(plan);
        prove_wal(plan, server, CopyControl(), tablespaces);
    }

    // Records up to so many bytes before the segment's end, and one that goes on behind it.
    void fill_up_to(std::uint64_t before_end) {
        const std::uint64_t size = wal.options().size.bytes();
        const auto left = [&](const test::WalBuilder& builder) { return size - builder.position().value % size; };
        while (left(wal) > 6000) wal.filler(1000);
        for (std::size_t bytes = left(wal) - before_end - 100;; bytes += 4) {  // headers take the rest
            test::WalBuilder longer(wal);
            longer.filler(bytes);
            if (left(longer) != before_end) continue;
            wal = longer;
            break;
        }
        wal.filler(5000);
    }

    Path root;
    config::Server server;
    test::WalBuilder wal;
    Plan plan;
};

}  // namespace

TEST_GROUP(PlaceWal){};

TEST(PlaceWal, TheLastSegmentIsProvenUpToWhereRecoveryEnds) {
    Box box;
    box.prove(0.9);  // before it
    box.prove(1.4);
    CHECK_THROWS(Error, box.prove(1.6));
    box.plan.chain.pieces.erase(box.plan.chain.pieces.begin());
    box.plan.chain.pieces.push_back(box.plan.chain.pieces.front());
    CHECK_THROWS(Error, box.prove(0.1));  // one behind which recovery goes on is proven whole
}

TEST(PlaceWal, ARecordThatLiesInTwoSegmentsIsProven) {
    Box(std::nullopt).prove(1.4);
    Box damaged(41);  // in what follows the first page's header: the rest of the record before
    CHECK_THROWS(Error, damaged.prove(1.4));
    damaged.prove(0.5);  // recovery does not come to it
}

TEST(PlaceWal, ItsHeaderMayLieInBothSegments) {
    for (const std::uint64_t before_end : {8, 16, 24, 32, 1000}) {
        Box(std::nullopt, before_end).prove(1.4);
        for (const std::size_t flipped : {41, 60, 4000}) {
            Box damaged(flipped, before_end);
            CHECK_THROWS(Error, damaged.prove(1.4));
        }
    }
}
