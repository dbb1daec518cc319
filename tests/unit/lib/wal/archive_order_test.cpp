#include "lib/wal/archive.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <thread>

#include "tests/unit/lib/wal/archive_box.h"

using namespace coffer;
using namespace coffer::wal;
using namespace coffer::wal::archive_tests;

TEST_GROUP_BASE(WalArchiveOrder, ArchiveBox){};

TEST(WalArchiveOrder, StoresFromSeveralThreadsAtOnce) {
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

TEST(WalArchiveOrder, IndexesNothingBeforeAnEarlierFileThatIsUnderWay) {
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

TEST(WalArchiveOrder, OneFileThatTakesForEverHoldsUpFew) {
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
    const std::uint64_t count = 2 * std::max(1U, std::thread::hardware_concurrency()) + 2;
    std::atomic<std::uint64_t> stored{0};
    const auto take = [&](std::uint64_t number) {
        archive->store(incoming(name_of_segment(number), segment_of(number)), [&](const StoreOutcome& outcome) {
            if (outcome.result == StoreResult::stored) ++stored;
        });
    };
    std::thread slow(take, 1);
    asked.get_future().wait();
    for (std::uint64_t number = 2; number <= count; ++number) take(number);
    const std::uint64_t stored_before = stored;
    answer.set_value();
    slow.join();
    CHECK(stored_before > 0);
    LONGS_EQUAL(count, stored.load());
    LONGS_EQUAL(count, indexed().size());
    const std::vector<std::string> names = indexed();
    CHECK(std::is_sorted(names.begin(), names.end()));
}

TEST(WalArchiveOrder, HoldsNothingBackForAnEarlierFileThatIsRefused) {
    CHECK(store(name_of_segment(1), "rubbish").result == StoreResult::refused);
    check_stored(store(name_of_segment(2), segment_of(2)), segment_of(2));
}

TEST(WalArchiveOrder, PutsAFileThatComesLateInItsPlaceInTheIndex) {
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
TEST(WalArchiveOrder, HasOneLargeFileInMemoryAtATime) {
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
