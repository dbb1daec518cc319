#include "lib/restore/new_tablespaces.h"

#include <CppUTest/TestHarness.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "lib/base/error.h"
#include "lib/restore/execute.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

// Segments 5 to 7 of 1 MB, and a plan that reads them all.
class Box {
  public:
    Box() {
        char name[] = "/tmp/coffer-tablespaces-XXXXXX";
        root = ::mkdtemp(name);
        server.name = "main";
        server.wals_directory = root / "wals";
        server.streaming_wals_directory = root / "streaming";
        server.incoming_wals_directory = root / "incoming";
        plan.identity = {wal.options().system_identifier, 15};
        plan.chain.size = wal.options().size;
        plan.backup.begin_xlog = wal.position();
        plan.backup.tablespaces = {{"known", 7, (root / "known").string()}};
        plan.tablespaces = {{"known", 7, root / "source", root / "known", false}};
    }
    ~Box() { fs::remove_all(root); }

    Lsn create(std::uint32_t oid, const Path& path) {
        std::string data(reinterpret_cast<const char*>(&oid), sizeof oid);
        return wal.record(5, 0x00, 0, data + path.string() + '\0');
    }
    // Fillers, until the next record begins this far in front of the end of its segment.
    void leave(std::size_t bytes) {
        const std::uint64_t size = wal.options().size.bytes();
        for (;;) {
            const std::uint64_t left = size - wal.position().value % size;
            if (left == bytes) return;
            CHECK(left > bytes);
            // A filler of 8 to 1000 bytes of data, its header and that of its data.
            const std::uint64_t over = left - bytes;
            wal.filler(over > 3000 ? 1000 : over > 200 ? 96 : over - 24 - 2);
        }
    }
    std::map<std::uint32_t, Path> found() {
        wal.fill_segment();
        for (std::uint64_t number = 5; number <= wal.position().value / wal.options().size.bytes(); ++number) {
            const wal::Segment segment{1, number};
            const std::string name = segment.name(wal.options().size);
            const Path path = server.wals_directory / wal::archive_folder_of(name) / name;
            fs::create_directories(path.parent_path());
            std::ofstream(path) << wal.segment(number);
            WalPiece piece;
            piece.segment = segment;
            piece.file.name = name;
            piece.file.path = path;
            plan.chain.pieces.push_back(std::move(piece));
        }
        NewTablespaces tablespaces(plan);
        prove_wal(plan, server, CopyControl(), tablespaces);
        return tablespaces.found();
    }

    Path root;
    config::Server server;
    test::WalBuilder wal;
    Plan plan;
};

std::string refusal(const std::map<std::uint32_t, Path>& tablespaces, const Plan& plan) {
    try {
        missing_directories(tablespaces, plan);
    } catch (const Error& error) {
        return error.full_text();
    }
    return "not refused";
}

}  // namespace

TEST_GROUP(NewTablespaces){};

TEST(NewTablespaces, IsFoundWhereverItsRecordLies) {
    // How much of the record lies in front of a segment's end: its header's front, all of it, and some data.
    for (const std::size_t bytes : {8, 16, 24, 40, 800}) {
        Box box;
        box.leave(bytes);
        box.create(9, "/somewhere/else");
        box.wal.fill_segment();
        const auto found = box.found();
        LONGS_EQUAL(1, found.size());
        STRCMP_EQUAL("/somewhere/else", found.at(9).c_str());
    }
}

TEST(NewTablespaces, IsNoneBehindATargetButOneWhereRecoveryGoesOn) {
    for (const TargetKind kind : {TargetKind::end, TargetKind::lsn, TargetKind::immediate}) {
        Box box;
        box.wal.filler(100);
        box.plan.end.end = box.plan.backup.end_xlog = box.wal.position();
        box.plan.target.kind = kind;
        box.create(9, "/somewhere/else");
        LONGS_EQUAL(kind == TargetKind::end ? 1 : 0, box.found().size());
    }
}

TEST(NewTablespaces, IsNoneBetweenTheLastTransactionAndATime) {
    for (const bool before : {true, false}) {
        Box box;
        box.plan.target.kind = TargetKind::time;
        box.wal.filler(100);
        const Lsn transaction = box.wal.position();
        if (!before) box.plan.end.last_transaction = transaction;
        box.wal.filler(100);
        box.create(9, "/somewhere/else");
        if (before) box.plan.end.last_transaction = box.wal.position();
        box.plan.end.end = box.wal.position() + 1000;
        LONGS_EQUAL(before ? 1 : 0, box.found().size());
    }
}

TEST(NewTablespaces, ReplayKeepsOneOfTheBackupOnlyWhereItWas) {
    Box box;
    box.create(7, box.root / "known");
    const auto found = box.found();
    LONGS_EQUAL(0, missing_directories(found, box.plan).size());
    box.plan.tablespaces[0].target = box.root / "elsewhere";
    const std::string text = refusal(found, box.plan);
    STRCMP_CONTAINS("tablespace 'known' was made while this backup began", text.c_str());
    STRCMP_CONTAINS(("--tablespace known:" + (box.root / "known").string()).c_str(), text.c_str());
}

TEST(NewTablespaces, ItsDirectoryMustBeFreeAndOnesOwn) {
    Box box;
    const Path place = box.root / "place";
    LONGS_EQUAL(1, missing_directories({{9, place}}, box.plan).size());
    fs::create_directories(place);
    LONGS_EQUAL(0, missing_directories({{9, place}}, box.plan).size());
    box.plan.owner = Owner{::geteuid() + 1, ::getegid()};
    STRCMP_CONTAINS("does not belong to user", refusal({{9, place}}, box.plan).c_str());
    box.plan.owner.reset();
    box.plan.taken = {box.root};
    STRCMP_CONTAINS("part of a catalogue", refusal({{9, place}}, box.plan).c_str());
    box.plan.taken.clear();
    std::ofstream(place / "file") << "x";
    STRCMP_CONTAINS("made after this backup", refusal({{9, place}}, box.plan).c_str());
}
