#include "lib/wal/archive.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <thread>

#include "lib/wal/quarantine.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr std::uint64_t our_system = 7312000000000000001ULL;
constexpr std::uint64_t other_system = 7440000000000000002ULL;

std::string segment_of(std::uint64_t number, std::uint64_t system = our_system, std::size_t first_record = 100) {
    test::WalOptions options;
    options.first = {1, number};
    options.system_identifier = system;
    test::WalBuilder builder(options);
    builder.filler(first_record);
    builder.fill_segment();
    return builder.segment(number);
}

std::string name_of_segment(std::uint64_t number) {
    return Segment{1, number}.name(SegmentSize::from_bytes(1 << 20).value());
}

// Fails the calls whose path holds a text, with a full disk.
class FullDisk : public Files {
  public:
    std::string full_for = "nothing";
    std::string fail_sync_of = "nothing";
    void append(int fd, ByteSpan data, const Path& path) override {
        fail_if(path, full_for);
        Files::append(fd, data, path);
    }
    void sync(int fd, const Path& path) override {
        fail_if(path, fail_sync_of);
        Files::sync(fd, path);
    }

  private:
    static void fail_if(const Path& path, const std::string& text) {
        if (path.string().find(text) != std::string::npos)
            throw Error::from_errno(ENOSPC, "cannot write to file", path.string());
    }
};

}  // namespace

TEST_GROUP(WalArchive) {
    Path home;
    config::Server server;
    Clock clock;
    WalArchive::Settings settings;
    std::optional<WalArchive> archive;

    void setup() override {
        char name[] = "/tmp/coffer-archive-XXXXXX";
        home = ::mkdtemp(name);
        server.name = "main";
        server.backup_directory = home;
        server.wals_directory = server.xlogdb_directory = home / "wals";
        server.incoming_wals_directory = home / "incoming";
        server.errors_directory = home / "errors";
        server.compression = Codec::gzip;
        server.compression_level = "low";
        for (const char* folder : {"incoming", "meta"}) std::filesystem::create_directory(home / folder);
        settings.known_system = [] { return KnownSystem{our_system, 15, std::nullopt}; };
        settings.quiet_time = std::chrono::milliseconds(0);
        open();
    }
    void teardown() override {
        archive.reset();
        std::filesystem::remove_all(home);
    }
    void open() {
        archive.emplace(server, settings, clock);
    }
    Path incoming(const std::string& name, std::string_view bytes) {
        write_file_durably(home / "incoming" / name, bytes);
        return home / "incoming" / name;
    }
    StoreOutcome store(const std::string& name, std::string_view bytes) {
        return archive->store(incoming(name, bytes));
    }
    std::vector<std::string> indexed() {
        std::vector<std::string> names;
        for (const XlogLine& line : read_xlogdb(xlogdb_path(server)).lines) names.push_back(line.name);
        return names;
    }
    std::size_t files_below(const char* folder) {
        std::size_t count = 0;
        if (!std::filesystem::exists(home / folder)) return 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(home / folder)) {
            count += entry.is_regular_file() ? 1 : 0;
        }
        return count;
    }
    void check_stored(const StoreOutcome& outcome, std::string_view bytes) {
        CHECK_TEXT(outcome.result == StoreResult::stored, outcome.reason.c_str());
        CHECK(decompress_file(archive->path_of(outcome.name), 64 << 20) == bytes);
        CHECK(!std::filesystem::exists(home / "incoming" / outcome.name));
        CHECK(archive->has(outcome.name));
    }
};

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

TEST(WalArchive, TakesTheSameBytesAgainAsSuccess) {
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

TEST(WalArchive, SetsOtherBytesOfTheSameNameAside) {
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

TEST(WalArchive, ReplacesADamagedFileByAGoodCopy) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    const std::string stored = read_file(archive->path_of(name_of_segment(1))).value();
    write_file_durably(archive->path_of(name_of_segment(1)), stored.substr(0, stored.size() / 2));
    check_stored(store(name_of_segment(1), bytes), bytes);
    LONGS_EQUAL(1, count_errors(server));
    LONGS_EQUAL(1, indexed().size());
}

// Uncompressed, and of a size and front that are right: only its content tells.
TEST(WalArchive, ReplacesAPlainFileWhoseBytesHaveChangedByAGoodCopy) {
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
        STRCMP_EQUAL(".unknown", outcome.moved_to->extension().c_str());
        archive->remove({name_of_segment(1)});
    }
    LONGS_EQUAL(2, count_errors(server));
}

TEST(WalArchive, IndexesTheGoodCopyThatReplacedADamagedFile) {
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

TEST(WalArchive, ListsNoDamagedFileThatTheGoodOneCouldNotReplace) {
    const std::string bytes = segment_of(1);
    store(name_of_segment(1), bytes);
    write_file_durably(archive->path_of(name_of_segment(1)), "\x1f\x8b\x08");
    const Path source = incoming(name_of_segment(1), bytes);
    {
        FullDisk disk;
        disk.fail_sync_of = ".tmp";
        const ScopedFiles scope(disk);
        CHECK(archive->store(source).result == StoreResult::failed);
    }
    CHECK(!archive->has(name_of_segment(1)));
    check_stored(archive->store(source), bytes);
    LONGS_EQUAL(1, indexed().size());
}

TEST(WalArchive, StoresFromSeveralThreadsAtOnce) {
    constexpr std::uint64_t count = 24;
    std::atomic<std::uint64_t> next{1};
    std::atomic<int> stored{0};
    for (std::uint64_t number = 1; number <= count; ++number) incoming(name_of_segment(number), segment_of(number));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (std::uint64_t number = next++; number <= count; number = next++) {
                archive->store(home / "incoming" / name_of_segment(number), [&](const StoreOutcome& outcome) {
                    if (outcome.result == StoreResult::stored) ++stored;
                });
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    LONGS_EQUAL(count, stored.load());
    LONGS_EQUAL(count, archive->state().wal_count);
    LONGS_EQUAL(count, indexed().size());
    LONGS_EQUAL(0, files_below("incoming"));
}

TEST(WalArchive, IndexesNothingBeforeAnEarlierFileThatIsUnderWay) {
    std::promise<void> asked, answer;
    std::atomic<bool> first{true};
    settings.known_system = [&] {
        if (first.exchange(false)) {
            asked.set_value();
            answer.get_future().wait();
        }
        return KnownSystem{our_system, 15, std::nullopt};
    };
    open();
    for (std::uint64_t number = 1; number <= 2; ++number) incoming(name_of_segment(number), segment_of(number));
    std::atomic<int> stored{0};
    const auto take = [&](std::uint64_t number) {
        archive->store(home / "incoming" / name_of_segment(number), [&](const StoreOutcome& outcome) {
            if (outcome.result == StoreResult::stored) ++stored;
        });
    };
    std::thread slow(take, 1);
    asked.get_future().wait();
    take(2);
    const std::size_t indexed_before = indexed().size();
    const std::size_t incoming_before = files_below("incoming");
    answer.set_value();
    slow.join();
    LONGS_EQUAL(0, indexed_before);
    LONGS_EQUAL(2, incoming_before);
    LONGS_EQUAL(2, stored.load());
    CHECK(indexed() == (std::vector<std::string>{name_of_segment(1), name_of_segment(2)}));
}

TEST(WalArchive, HoldsNothingBackForAnEarlierFileThatIsRefused) {
    CHECK(store(name_of_segment(1), "rubbish").result == StoreResult::refused);
    check_stored(store(name_of_segment(2), segment_of(2)), segment_of(2));
}

TEST(WalArchive, PutsAFileThatComesLateInItsPlaceInTheIndex) {
    for (const std::uint64_t number : {3, 4, 2, 1}) store(name_of_segment(number), segment_of(number));
    const std::vector<std::string> expected{name_of_segment(1), name_of_segment(2), name_of_segment(3),
                                            name_of_segment(4)};
    CHECK(indexed() == expected);
    XlogContent content = read_xlogdb(xlogdb_path(server));
    std::swap(content.lines.front(), content.lines.back());  // as versions before left it
    write_xlogdb(xlogdb_path(server), content.lines);
    open();
    CHECK(indexed() == expected);
}

// Small as they arrive, large in memory.
TEST(WalArchive, HasOneLargeFileInMemoryAtATime) {
    const Path packed = home / "packed";
    {
        const std::string zeros((64 << 20) + 8192, '\0');
        const UniqueFd fd = files().open(packed, O_WRONLY | O_CREAT);
        compress_to(fd.get(), as_byte_span(zeros), Codec::zstd, 1, packed);
    }
    std::mutex mutex;
    std::condition_variable changed;
    int at_once = 0;
    int most = 0;
    settings.known_system = [&] {  // asked when the file has been read
        std::unique_lock lock(mutex);
        most = std::max(most, ++at_once);
        changed.notify_all();
        changed.wait_for(lock, std::chrono::milliseconds(500), [&] { return at_once == 2; });
        --at_once;
        return KnownSystem{our_system, 15, std::nullopt};
    };
    open();
    std::vector<std::thread> threads;
    for (std::uint64_t number = 1; number <= 2; ++number) {
        const Path source = incoming(name_of_segment(number), read_file(packed).value());
        threads.emplace_back([&, source] { (void)archive->store(source); });
    }
    for (std::thread& thread : threads) thread.join();
    LONGS_EQUAL(1, most);
    LONGS_EQUAL(2, count_errors(server));
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
