#include "lib/wal/archive.h"

#include "tests/unit/lib/wal/archive_box.h"

using namespace coffer;
using namespace coffer::wal;
using namespace coffer::wal::archive_tests;

TEST_GROUP_BASE(WalArchiveReplacement, ArchiveBox){};

TEST(WalArchiveReplacement, TakesTheSameBytesAgainAsSuccess) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    server.compression = Codec::zstd;  // another codec, the same plain bytes
    open();
    const StoreOutcome again = store(name_of_segment(1), bytes);
    CHECK(again.result == StoreResult::duplicate);
    CHECK(!std::filesystem::exists(home / "incoming" / name_of_segment(1)));
    LONGS_EQUAL(1, indexed().size());
    LONGS_EQUAL(0, count_errors(server));
}

TEST(WalArchiveReplacement, SetsOtherBytesOfTheSameNameAside) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    const StoreOutcome other = store(name_of_segment(1), segment_of(1, our_system, 200));
    CHECK(other.result == StoreResult::conflict);
    CHECK(other.moved_to.value().extension() == ".duplicate");
    CHECK(std::filesystem::exists(*other.moved_to));
    CHECK(decompress_file(archive->path_of(name_of_segment(1)), 64 << 20) == bytes);
    LONGS_EQUAL(1, count_errors(server));
    const std::string reasons = read_file(home / "meta" / "archive-errors.log").value();
    CHECK(reasons.starts_with(other.moved_to->filename().string() + "\thas other bytes"));
}

TEST(WalArchiveReplacement, ReplacesADamagedFileByAGoodCopy) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    const std::string stored = read_file(archive->path_of(name_of_segment(1))).value();
    write_file_durably(archive->path_of(name_of_segment(1)), stored.substr(0, stored.size() / 2));
    check_stored(store(name_of_segment(1), bytes), bytes);
    LONGS_EQUAL(1, count_errors(server));
    LONGS_EQUAL(1, indexed().size());
}

// Uncompressed, and of a size and front that are right: only its content tells.
TEST(WalArchiveReplacement, ReplacesAPlainFileWhoseBytesHaveChangedByAGoodCopy) {
    server.compression = Codec::none;
    open();
    const std::string bytes = segment_of(1);
    std::string rotten = bytes;
    rotten[300000] = static_cast<char>(rotten[300000] ^ 1);
    for (const bool proof_kept : {true, false}) {
        const Path archived = archive->path_of(name_of_segment(1));
        store(name_of_segment(1), bytes);
        if (proof_kept) {
            const UniqueFd fd = files().open(archived, O_WRONLY);
            files().write_at(fd.get(), as_byte_span(rotten), 0, archived);
        } else {
            write_file_durably(archived, rotten);
        }
        const StoreOutcome outcome = store(name_of_segment(1), bytes);
        check_stored(outcome, bytes);
        CHECK(read_file(outcome.moved_to.value()).value() == rotten);
        STRCMP_EQUAL(".damaged", outcome.moved_to->extension().c_str());
        archive->remove({name_of_segment(1)});
    }
    LONGS_EQUAL(2, count_errors(server));
}

TEST(WalArchiveReplacement, IndexesTheGoodCopyThatReplacedADamagedFile) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    store(name_of_segment(2), segment_of(2));
    const std::string stored = read_file(archive->path_of(name_of_segment(1))).value();
    write_file_durably(archive->path_of(name_of_segment(1)), stored.substr(0, stored.size() / 2));
    server.compression = Codec::none;
    open();
    const Path source = incoming(name_of_segment(1), bytes);
    const timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
    ::utimensat(AT_FDCWD, source.c_str(), times, 0);
    CHECK(archive->store(source).result == StoreResult::stored);
    const XlogLine line = read_xlogdb(xlogdb_path(server)).lines.at(0);
    STRCMP_EQUAL(describe_archived(archive->path_of(name_of_segment(1)))->format().c_str(), line.format().c_str());
    LONGS_EQUAL(bytes.size(), line.size);
    LONGS_EQUAL(line.size + std::filesystem::file_size(archive->path_of(name_of_segment(2))),
                archive->state().stored_bytes);
    CHECK(indexed() == (std::vector<std::string>{name_of_segment(1), name_of_segment(2)}));
}

TEST(WalArchiveReplacement, ListsNoDamagedFileThatTheGoodOneCouldNotReplace) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    write_file_durably(archive->path_of(name_of_segment(1)), "\x1f\x8b\x08");
    const Path source = incoming(name_of_segment(1), bytes);
    {
        FullDisk disk;
        disk.fail_sync_of = ".tmp";
        const ScopedFiles scope(disk);
        const StoreOutcome outcome = archive->store(source);
        CHECK(outcome.result == StoreResult::failed);
        CHECK(outcome.moved_to.has_value());
    }
    CHECK(!archive->has(name_of_segment(1)));
    check_stored(archive->store(source), bytes);
    LONGS_EQUAL(1, indexed().size());
}

// Without a proof they look broken when they are taken for what has arrived; but they may be all that old backups have.
TEST(WalArchiveReplacement, KeepsWhatMayBeGoodThoughItIsNotOfThisServer) {
    server.compression = Codec::none;
    open();
    const std::string bytes = segment_of(1);
    std::string encrypted = bytes;
    for (char& byte : encrypted) byte = static_cast<char>(byte ^ 0x5a);
    test::WalOptions larger;
    larger.size = SegmentSize::from_bytes(2 << 20).value();
    larger.first = {1, 1};
    larger.system_identifier = our_system;
    test::WalBuilder builder(larger);
    builder.fill_segment();
    for (const std::string& archived : {segment_of(1, other_system), encrypted, builder.segment(1)}) {
        const Path path = archive->path_of(name_of_segment(1));
        std::filesystem::create_directories(path.parent_path());
        write_file_durably(path, archived);
        CHECK(store(name_of_segment(1), bytes).result == StoreResult::conflict);
        CHECK(read_file(path).value() == archived);
    }
}
