#include <thread>

#include "tests/unit/lib/wal/archive_box.h"

using namespace coffer;
using namespace coffer::wal;
using namespace coffer::wal::archive_tests;

TEST_GROUP_BASE(WalArchiveRebuild, ArchiveBox){std::string index(){return read_file(xlogdb_path(server)).value_or("");
}
void put(const std::string& path, std::string_view bytes) {
    std::filesystem::create_directories((server.wals_directory / path).parent_path());
    write_file_durably(server.wals_directory / path, bytes);
}
}
;

TEST(WalArchiveRebuild, GivesTheSameIndexForAnIntactArchive) {
    for (std::uint64_t number = 1; number <= 5; ++number) store(name_of_segment(number), segment_of(number));
    store("00000002.history", "1\t0/300000\tno recovery target specified\n");
    const std::string before = index();
    std::filesystem::remove(xlogdb_path(server));
    const auto rebuilt = archive->rebuild_index();
    LONGS_EQUAL(6, rebuilt.files);
    CHECK(rebuilt.left_out.empty());
    STRCMP_EQUAL(before.c_str(), index().c_str());
    LONGS_EQUAL(5, archive->state().wal_count);
}

TEST(WalArchiveRebuild, FindsOutCompressionAndSizeOfEachFile) {
    const std::string name = name_of_segment(1);
    store(name, segment_of(1));
    server.compression = Codec::none;
    open();
    store(name_of_segment(2), segment_of(2));
    write_file_durably(xlogdb_path(server), name + "\t1\t1.0\tNone\n");
    archive->rebuild_index();
    const auto lines = read_xlogdb(xlogdb_path(server)).lines;
    LONGS_EQUAL(2, lines.size());
    STRCMP_EQUAL("gzip", lines[0].compression.c_str());
    LONGS_EQUAL(std::filesystem::file_size(archive->path_of(name)), lines[0].size);
    STRCMP_EQUAL("", lines[1].compression.c_str());
    LONGS_EQUAL(1 << 20, lines[1].size);
}

TEST(WalArchiveRebuild, NamesWhatIsNoWalAndLeavesItOut) {
    store(name_of_segment(1), segment_of(1));
    const std::string folder = "0000000100000000/";
    put(folder + name_of_segment(2), segment_of(2).substr(0, 4096));
    put(folder + name_of_segment(3), "");
    put(folder + name_of_segment(4), "nothing of WAL");
    put(folder + "notes.txt", "mine");
    put("0000000200000000/" + name_of_segment(5), segment_of(5));
    put(folder + "." + name_of_segment(6) + ".1.tmp", "somebody is at work");
    const auto rebuilt = archive->rebuild_index();
    LONGS_EQUAL(1, rebuilt.files);
    CHECK(rebuilt.left_out ==
          (std::vector<LeftOut>{{folder + name_of_segment(2), "has 4096 bytes instead of 1048576"},
                                {folder + name_of_segment(3), "is empty"},
                                {folder + name_of_segment(4), "does not begin as a WAL segment does"},
                                {folder + "notes.txt", "has a name that no WAL file has"},
                                {"0000000200000000/" + name_of_segment(5), "is not in the folder where it belongs"}}));
    CHECK(indexed() == std::vector<std::string>{name_of_segment(1)});
    CHECK(std::filesystem::exists(server.wals_directory / (folder + "." + name_of_segment(6) + ".1.tmp")));
}

TEST(WalArchiveRebuild, BelievesTheIndexOfWhatIsEncrypted) {
    const std::string folder = "0000000100000000/";
    put(folder + name_of_segment(1), "only its owner can read this");
    put(folder + name_of_segment(2), "\x85\x01 by gpg, and nobody told");
    write_file_durably(xlogdb_path(server), name_of_segment(1) + "\t1\t1.0\tsnappy\tgpg\n");
    archive->rebuild_index();
    const auto lines = read_xlogdb(xlogdb_path(server)).lines;
    LONGS_EQUAL(2, lines.size());
    STRCMP_EQUAL("snappy", lines[0].compression.c_str());
    STRCMP_EQUAL("gpg", lines[0].encryption.c_str());
    LONGS_EQUAL(28, lines[0].size);
    STRCMP_EQUAL("gpg", lines[1].encryption.c_str());
}

TEST(WalArchiveRebuild, LosesNothingThatIsStoredOrRemovedMeanwhile) {
    constexpr std::uint64_t count = 30;
    for (std::uint64_t number = 1; number <= count; ++number) incoming(name_of_segment(number), segment_of(number));
    std::atomic<bool> ended{false};
    std::thread rebuilding([&] {
        while (!ended) archive->rebuild_index();
    });
    for (std::uint64_t number = 1; number <= count; ++number) {
        archive->store(home / "incoming" / name_of_segment(number));
        if (number % 3 == 0) archive->remove({name_of_segment(number - 1)});
    }
    ended = true;
    rebuilding.join();
    std::vector<std::string> left;
    for (std::uint64_t number = 1; number <= count; ++number) {
        if (number % 3 != 2) left.push_back(name_of_segment(number));
    }
    CHECK(indexed() == left);
    LONGS_EQUAL(left.size(), archive->state().wal_count);
}

TEST(WalArchiveRebuild, LeavesTheOldIndexWhereTheDiskIsFull) {
    store(name_of_segment(1), segment_of(1));
    const std::string before = index();
    std::filesystem::remove(archive->path_of(name_of_segment(1)));
    FullDisk disk;
    disk.full_for = "xlog.db";
    {
        const ScopedFiles replaced(disk);
        CHECK_THROWS(Error, archive->rebuild_index());
    }
    STRCMP_EQUAL(before.c_str(), index().c_str());
    LONGS_EQUAL(1, archive->state().wal_count);
    archive->rebuild_index();
    LONGS_EQUAL(0, archive->state().wal_count);
}
