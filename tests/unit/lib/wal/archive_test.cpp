#include "lib/wal/archive.h"

#include "tests/unit/lib/wal/archive_box.h"

using namespace coffer;
using namespace coffer::wal;
using namespace coffer::wal::archive_tests;

TEST_GROUP_BASE(WalArchive, ArchiveBox){};

TEST(WalArchive, TakesTheSegmentOfANewTimelineThatEndsInThePageInWhichTheTimelineBegan) {
    test::WalOptions options;
    options.first = {1, 5};
    options.system_identifier = our_system;
    test::WalBuilder builder(options);
    builder.filler(100);
    builder.set_timeline(2);
    builder.checkpoint(std::chrono::sys_seconds(std::chrono::seconds(1700000000)));
    builder.switch_segment();
    const Path source = home / "incoming" / Segment{2, 5}.name(options.size);
    write_file_durably(source, builder.segment(5));
    const StoreOutcome outcome = archive->store(source);
    STRCMP_EQUAL("", outcome.reason.c_str());
    CHECK(outcome.result == StoreResult::stored);
}

TEST(WalArchive, StoresWithEveryCodecAndFindsItAgain) {
    std::uint64_t number = 1;
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::bzip2, Codec::xz, Codec::zstd, Codec::lz4}) {
        server.compression = codec;
        open();
        const std::string bytes = segment_of(number);
        const StoreOutcome outcome = store(name_of_segment(number), bytes);
        check_stored(outcome, bytes);
        LONGS_EQUAL(std::filesystem::file_size(archive->path_of(outcome.name)), outcome.stored_size);
        ++number;
    }
    LONGS_EQUAL(6, archive->state().wal_count);
    STRCMP_EQUAL(name_of_segment(1).c_str(), archive->state().first_wal->c_str());
    STRCMP_EQUAL(name_of_segment(6).c_str(), archive->state().last_wal->c_str());
    LONGS_EQUAL(6, indexed().size());
    LONGS_EQUAL(0, count_errors(server));
}

TEST(WalArchive, KeepsTheTimeOfTheSource) {
    const Path source = incoming(name_of_segment(1), segment_of(1));
    const timespec times[2] = {{1700000000, 0}, {1700000000, 250000000}};
    ::utimensat(AT_FDCWD, source.c_str(), times, 0);
    CHECK(archive->store(source).result == StoreResult::stored);
    struct stat status {};
    ::stat(archive->path_of(name_of_segment(1)).c_str(), &status);
    LONGS_EQUAL(1700000000, status.st_mtim.tv_sec);
    LONGLONGS_EQUAL(1700000000250000, read_xlogdb(xlogdb_path(server)).lines.at(0).modified.time_since_epoch().count());
}

TEST(WalArchive, LetsNothingInThatIsNotWhatItsNameSays) {
    const std::string good = segment_of(1);
    std::string flipped = good;
    flipped[300000] = static_cast<char>(flipped[300000] ^ 1);
    const std::pair<std::string, std::string> cases[] = {
        {name_of_segment(1), segment_of(1, other_system)},
        {name_of_segment(2), good},
        {"000000020000000000000001", good},
        {name_of_segment(1), good.substr(0, good.size() / 2)},
        {name_of_segment(1), ""},
        {name_of_segment(1), flipped},
        {name_of_segment(1), std::string(1 << 20, '\0')},
        {name_of_segment(1), good + "x"},
        {"000000010000000000000001.partial", good.substr(0, 8192)},
        {"rubbish", "x"},
        {"000000010000000000000001x", good},
        {"00000002.history", "no history"},
        {"00000002.history", "3\t0/5000000\treason\n"},
        {"00000002.history", ""},
        {"000000010000000000000001.00000028.backup", "no label"},
    };
    std::size_t refused = 0;
    for (const auto& [name, bytes] : cases) {
        const StoreOutcome outcome = store(name, bytes);
        CHECK_TEXT(outcome.result == StoreResult::refused, (name + " " + outcome.reason).c_str());
        CHECK_TEXT(!outcome.reason.empty(), name.c_str());
        LONGS_EQUAL(++refused, count_errors(server));
    }
    LONGS_EQUAL(0, indexed().size());
    LONGS_EQUAL(0, files_below("wals"));
    LONGS_EQUAL(0, files_below("incoming"));
}

TEST(WalArchive, GivesHistoriesLabelsAndPartialsTheirPlaces) {
    const std::string history = "1\t0/5000000\tno recovery target specified\n";
    const std::string label = "START WAL LOCATION: 0/100028 (file 000000010000000000000001)\n";
    test::WalBuilder builder;
    builder.filler(1000);
    check_stored(store("00000002.history", history), history);
    check_stored(store("000000010000000000000001.00000028.backup", label), label);
    check_stored(store("000000010000000000000005.partial", builder.segment(5)), builder.segment(5));
    CHECK(std::filesystem::exists(home / "wals/00000002.history"));
    CHECK(std::filesystem::exists(home / "wals/0000000100000000/000000010000000000000001.00000028.backup"));
    CHECK(std::filesystem::exists(home / "wals/0000000100000000/000000010000000000000005.partial"));
    LONGS_EQUAL(3, indexed().size());
    LONGS_EQUAL(0, archive->state().wal_count);
}

TEST(WalArchive, TakesCompressedFilesAsTheyAre) {
    const std::string bytes = segment_of(1);
    const Path packed = home / "packed";
    {
        const UniqueFd fd = files().open(packed, O_WRONLY | O_CREAT);
        compress_to(fd.get(), as_byte_span(bytes), Codec::zstd, 3, packed);
    }
    const std::string compressed = read_file(packed).value();
    check_stored(store(name_of_segment(1), compressed), bytes);
    CHECK(read_file(archive->path_of(name_of_segment(1))).value() == compressed);
    STRCMP_EQUAL("zstd", read_xlogdb(xlogdb_path(server)).lines.at(0).compression.c_str());
    CHECK(store(name_of_segment(1), bytes).result == StoreResult::duplicate);
    CHECK(store(name_of_segment(2), compressed.substr(0, compressed.size() / 2)).result == StoreResult::refused);
}

TEST(WalArchive, WaitsForAFileThatSomebodyStillWrites) {
    const std::string bytes = segment_of(1);
    const Path source = incoming(name_of_segment(1), bytes.substr(0, 100000));
    {
        const UniqueFd writer = files().open(source, O_WRONLY | O_APPEND);
        CHECK(archive->store(source).result == StoreResult::unsettled);
        files().append(writer.get(), as_byte_span(bytes).subspan(100000), source);
    }
    check_stored(archive->store(source), bytes);
    settings.quiet_time = std::chrono::hours(1);  // closed, but written a moment ago
    open();
    CHECK(store(name_of_segment(2), "short").result == StoreResult::unsettled);
    LONGS_EQUAL(0, count_errors(server));
}

TEST(WalArchive, LearnsItsSystemFromTheArchiveWhileNobodyKnowsTheServer) {
    settings.known_system = nullptr;
    open();
    CHECK(store(name_of_segment(1), segment_of(1)).result == StoreResult::stored);
    CHECK(store(name_of_segment(2), segment_of(2, other_system)).result == StoreResult::refused);
    open();
    CHECK(store(name_of_segment(2), segment_of(2, other_system)).result == StoreResult::refused);
    CHECK(store(name_of_segment(2), segment_of(2)).result == StoreResult::stored);
}

TEST(WalArchive, LosesNothingWhenTheDiskIsFull) {
    const std::string bytes = segment_of(1);
    const Path source = incoming(name_of_segment(1), bytes);
    for (const auto& [full_for, fail_sync_of] :
         {std::pair(".tmp", "nothing"), std::pair("nothing", ".tmp"), std::pair("nothing", "0000000100000000"),
          std::pair("xlog.db", "nothing")}) {
        FullDisk disk;
        disk.full_for = full_for;
        disk.fail_sync_of = fail_sync_of;
        const ScopedFiles scope(disk);
        const StoreOutcome outcome = archive->store(source);
        CHECK_TEXT(outcome.result == StoreResult::failed, full_for);
        CHECK_TEXT(outcome.error.value().code() == ErrorCode::no_space, full_for);
        CHECK_TEXT(read_file(source).value() == bytes, full_for);
        LONGS_EQUAL_TEXT(0, indexed().size(), full_for);
    }
    const StoreOutcome later = archive->store(source);
    CHECK(later.result == StoreResult::duplicate);  // the last attempt got as far as the index
    LONGS_EQUAL(1, indexed().size());
    LONGS_EQUAL(2, files_below("wals"));  // the segment and the index, no leftovers
}

TEST(WalArchive, MendsTheIndexAtItsStart) {
    for (std::uint64_t number = 1; number <= 3; ++number) store(name_of_segment(number), segment_of(number));
    std::filesystem::remove(archive->path_of(name_of_segment(2)));
    std::filesystem::copy(archive->path_of(name_of_segment(3)), archive->path_of("000000010000000000000009"));
    write_file_durably(home / "wals/0000000100000000/.000000010000000000000004.7.tmp", "half");
    {
        const UniqueFd fd = files().open(xlogdb_path(server), O_WRONLY | O_APPEND);
        files().append(fd.get(), as_byte_span("00000001000000"), "xlog.db");
    }
    open();
    const std::vector<std::string> expected{name_of_segment(1), name_of_segment(3), "000000010000000000000009"};
    CHECK(indexed() == expected);
    LONGS_EQUAL(3, archive->state().wal_count);
    LONGS_EQUAL(4, files_below("wals"));
    std::filesystem::remove(home / "wals/xlog.db");
    open();
    CHECK(indexed() == expected);
}

TEST(WalArchive, RemovesFromDiskAndIndex) {
    for (std::uint64_t number = 1; number <= 3; ++number) store(name_of_segment(number), segment_of(number));
    archive->remove({name_of_segment(1), name_of_segment(2), "000000010000000000000077"});
    CHECK(indexed() == std::vector<std::string>{name_of_segment(3)});
    STRCMP_EQUAL(name_of_segment(3).c_str(), archive->state().first_wal->c_str());
    archive->remove({name_of_segment(3)});
    CHECK(!std::filesystem::exists(home / "wals/0000000100000000"));
    const std::string bytes = segment_of(4);
    check_stored(store(name_of_segment(4), bytes), bytes);
}

TEST(WalArchive, SaysWhenASourceHasGone) {
    CHECK(archive->store(home / "incoming" / name_of_segment(1)).result == StoreResult::vanished);
    std::filesystem::create_directory(home / "incoming/folder");
    CHECK(archive->store(home / "incoming/folder").result == StoreResult::refused);
    std::filesystem::create_symlink("/etc/passwd", home / "incoming/00000003.history");
    CHECK(archive->store(home / "incoming/00000003.history").result == StoreResult::refused);
    LONGS_EQUAL(2, count_errors(server));
    LONGS_EQUAL(0, indexed().size());
}
