#include "streamer/segment_file.h"

#include <CppUTest/TestHarness.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/error.h"
#include "streamer/held_wal.h"

using namespace coffer;
using namespace coffer::streamer;

namespace {

const wal::SegmentSize one_mb = *wal::SegmentSize::from_bytes(1 << 20);
const wal::Segment segment{1, 3};
constexpr Lsn begin{3 << 20};

// Records the durable steps of the thread that made it, and fails the one it is told to.
class FaultyFiles : public Files {
  public:
    std::vector<std::string> steps;
    std::string fail_at;
    int error = EIO;

    void write_at(int fd, ByteSpan data, std::uint64_t offset, const Path& path) override {
        step("write");
        Files::write_at(fd, data, offset, path);
    }
    void allocate(int fd, std::uint64_t size, const Path& path) override {
        step("allocate");
        Files::allocate(fd, size, path);
    }
    void sync_data(int fd, const Path& path) override {
        step("sync data");
        Files::sync_data(fd, path);
    }
    void sync(int fd, const Path& path) override {
        step(std::filesystem::is_directory(path) ? "sync directory" : "sync");
        Files::sync(fd, path);
    }
    void rename(const Path& from, const Path& to) override {
        step("rename");
        Files::rename(from, to);
    }

  private:
    void step(const std::string& name) {
        if (std::this_thread::get_id() != thread_) return;  // the preallocator's
        steps.push_back(name);
        if (name == fail_at) throw Error::from_errno(error, "cannot " + name, "test");
    }
    const std::thread::id thread_ = std::this_thread::get_id();
};

Lsn nothing_valid(const Path&, const wal::Segment& found) {
    return found.begin(one_mb);
}

}  // namespace

TEST_GROUP(SegmentFile) {
    Path directory;
    std::string content = std::string(1 << 20, 'x');
    void setup() override {
        char name[] = "/tmp/coffer-segment-XXXXXX";
        directory = ::mkdtemp(name);
        std::filesystem::create_directories(directory / "streaming");
        std::filesystem::create_directories(directory / "wals/0000000100000000");
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
    Path streaming() const {
        return directory / "streaming";
    }
    void put(const std::string& name) const {
        write_file_durably(directory / name, content);
    }
    std::map<TimelineId, DurableLsn> held(std::function<Lsn(const Path&, const wal::Segment&)> valid_end =
                                              nothing_valid) const {
        return find_held_wal({streaming(), directory / "wals", one_mb, std::move(valid_end)});
    }
};

TEST(SegmentFile, IsDurableByNameBeforeTheFirstByteAndByContentAfterEachSync) {
    FaultyFiles recorder;
    const ScopedFiles scope(recorder);
    SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
    const std::vector<std::string> opened{"allocate", "sync", "sync directory"};
    CHECK(recorder.steps == opened);
    file.write(as_byte_span("hello"));
    CHECK(file.sync_data().lsn() == begin + 5);
    STRCMP_EQUAL("sync data", recorder.steps.back().c_str());
    UNSIGNED_LONGS_EQUAL(1 << 20, std::filesystem::file_size(streaming() / "000000010000000000000003.partial"));
}

TEST(SegmentFile, TakesItsFinalNameOnlyAfterTheSync) {
    SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
    file.write(as_byte_span(content));
    CHECK(file.full());
    FaultyFiles recorder;
    const ScopedFiles scope(recorder);
    file.complete();
    const std::vector<std::string> expected{"sync data", "rename", "sync directory"};
    CHECK(recorder.steps == expected);
    CHECK(read_file(streaming() / "000000010000000000000003") == content);
}

TEST(SegmentFile, StaysPartialWhenTheSyncFails) {
    SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
    file.write(as_byte_span(content));
    FaultyFiles faulty;
    faulty.fail_at = "sync data";
    const ScopedFiles scope(faulty);
    CHECK_THROWS(Error, file.complete());
    CHECK(!std::filesystem::exists(streaming() / "000000010000000000000003"));
}

TEST(SegmentFile, CanRepeatAWriteThatFoundTheDiskFull) {
    SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
    file.write(as_byte_span("abc"));
    {
        FaultyFiles faulty;
        faulty.fail_at = "write";
        faulty.error = ENOSPC;
        const ScopedFiles scope(faulty);
        CHECK_THROWS(Error, file.write(as_byte_span("def")));
    }
    CHECK(file.written() == begin + 3);
    file.write(as_byte_span("def"));
    STRNCMP_EQUAL("abcdef", read_file(streaming() / "000000010000000000000003.partial")->c_str(), 6);
}

TEST(SegmentFile, LeavesNothingBehindWhenThereIsNoRoomForIt) {
    FaultyFiles faulty;
    faulty.fail_at = "allocate";
    faulty.error = ENOSPC;
    const ScopedFiles scope(faulty);
    try {
        SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
        FAIL("opened");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::no_space);
    }
    CHECK(std::filesystem::is_empty(streaming()));
}

TEST(SegmentFile, GoesOnInAFileThatIsThere) {
    {
        SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
        file.write(as_byte_span("abcdef"));
    }
    SegmentFile file(streaming(), segment, one_mb, begin + 3, nullptr);
    file.write(as_byte_span("DEF"));
    CHECK(file.sync_data().lsn() == begin + 6);
    STRNCMP_EQUAL("abcDEF", read_file(streaming() / "000000010000000000000003.partial")->c_str(), 6);
}

TEST(SegmentFile, RefusesAPositionOrAWriteOutsideOfIt) {
    CHECK_THROWS(Error, SegmentFile(streaming(), segment, one_mb, Lsn{1}, nullptr));
    SegmentFile file(streaming(), segment, one_mb, begin + 1, nullptr);
    CHECK_THROWS(Error, file.write(as_byte_span(content)));
}

TEST(SegmentFile, UsesAPreparedFileWhenThereIsOne) {
    Preallocator preallocator;
    preallocator.prepare(streaming(), one_mb);
    preallocator.wait_idle();
    FaultyFiles recorder;
    const ScopedFiles scope(recorder);
    const SegmentFile file(streaming(), segment, one_mb, begin, &preallocator);
    const std::vector<std::string> expected{"rename", "sync directory"};
    CHECK(std::vector<std::string>(recorder.steps.begin(), recorder.steps.begin() + 2) == expected);
    preallocator.wait_idle();
}

TEST(SegmentFile, TheNextOneIsPreparedAndNothingIsLeftInTheEnd) {
    {
        Preallocator preallocator;
        const SegmentFile file(streaming(), segment, one_mb, begin, &preallocator);
        preallocator.wait_idle();
        CHECK(std::filesystem::exists(streaming() / ".prealloc-segment.tmp"));
    }
    CHECK(!std::filesystem::exists(streaming() / ".prealloc-segment.tmp"));
}

TEST(SegmentFile, HeldWalEndsWhereTheRecordsOfTheNewestPartialEnd) {
    put("streaming/000000010000000000000003.partial");
    put("streaming/000000010000000000000002");
    const auto found = held([](const Path& file, const wal::Segment& which) {
        UNSIGNED_LONGS_EQUAL(1 << 20, std::filesystem::file_size(file));
        return which.begin(one_mb) + 500;
    });
    CHECK(found.at(1).lsn() == begin + 500);
}

TEST(SegmentFile, HeldWalIsFollowedThroughTheArchiveUntilTheFirstHole) {
    put("streaming/000000010000000000000003.partial");
    for (const char* name : {"3", "4", "6"}) put(std::string("wals/0000000100000000/00000001000000000000000") + name);
    CHECK(held().at(1).lsn() == segment.next().end(one_mb));
}

TEST(SegmentFile, HeldWalOfTheArchiveAloneEndsWithItsNewestSegment) {
    for (const char* name : {"3", "6"}) put(std::string("wals/0000000100000000/00000001000000000000000") + name);
    put("wals/00000002.history");
    const auto found = held();
    UNSIGNED_LONGS_EQUAL(1, found.size());
    CHECK(found.at(1).lsn() == Lsn{7 << 20});
}

TEST(SegmentFile, HeldWalIsWhatLiesBehindAKnownHole) {
    put("streaming/000000010000000000000001.partial");
    put("streaming/000000020000000000000002.partial");
    for (const char* name : {"5", "6"}) put(std::string("wals/0000000100000000/00000001000000000000000") + name);
    HeldWalQuestion question{streaming(), directory / "wals", one_mb, nothing_valid};
    question.holes_end = {{1, Lsn{5 << 20}}};
    CHECK(find_held_wal(question).at(1).lsn() == Lsn{7 << 20});
    CHECK(find_held_wal(question).at(2).lsn() == Lsn{2 << 20});  // it has none
    put("streaming/000000010000000000000007.partial");
    question.valid_end = [](const Path&, const wal::Segment& which) { return which.begin(one_mb) + 500; };
    CHECK(find_held_wal(question).at(1).lsn() == Lsn{7 << 20} + 500);
    question.holes_end = {{1, Lsn{8 << 20}}};  // nothing came yet behind this one
    CHECK(find_held_wal(question).at(1).lsn() == Lsn{7 << 20} + 500);
}

TEST(SegmentFile, TheNextRunOfTheArchiveIsFoundBehindAHole) {
    std::filesystem::create_directories(directory / "wals/0000000100000001");
    std::filesystem::create_directories(directory / "wals/0000000200000000");
    for (const char* name : {"0000000100000000/000000010000000000000002", "0000000100000000/000000010000000000000005",
                             "0000000100000000/000000010000000000000006", "0000000100000001/000000010000000100000000",
                             "0000000200000000/000000020000000000000003"}) {
        put(std::string("wals/") + name);
    }
    const HeldWalQuestion question{streaming(), directory / "wals", one_mb, nothing_valid};
    const auto run = next_run(question, 1, begin);
    CHECK(run->begin == Lsn{5 << 20});
    CHECK(run->end.lsn() == Lsn{7 << 20});
    CHECK(next_run(question, 1, Lsn{7 << 20})->begin == Lsn{0x100000000});
    CHECK(!next_run(question, 1, Lsn{0x100100000}));
}

TEST(SegmentFile, APartialWhoseRecordsFillItIsHandedOverWhenItIsFound) {
    put("streaming/000000010000000000000003.partial");
    std::vector<std::string> completed;
    const HeldWalQuestion question{streaming(), directory / "wals", one_mb,
                                   [](const Path&, const wal::Segment& which) { return which.end(one_mb); },
                                   [&](const wal::Segment& which) { completed.push_back(which.name(one_mb)); }};
    CHECK(find_held_wal(question).at(1).lsn() == segment.end(one_mb));
    CHECK(std::filesystem::exists(streaming() / "000000010000000000000003"));
    CHECK(!std::filesystem::exists(streaming() / "000000010000000000000003.partial"));
    CHECK(completed == std::vector<std::string>{"000000010000000000000003"});
    CHECK(find_held_wal(question).at(1).lsn() == segment.end(one_mb));
    UNSIGNED_LONGS_EQUAL(1, completed.size());
}

TEST(SegmentFile, AFoundPartialThatCannotBeSyncedIsNamedBeforeItCanBeBelieved) {
    put("streaming/000000010000000000000003.partial");
    FaultyFiles faulty;
    faulty.fail_at = "sync";
    const ScopedFiles scope(faulty);
    std::vector<std::string> named;
    const HeldWalQuestion question{
        streaming(), directory / "wals",
        one_mb,      nothing_valid,
        {},          [&](const wal::Segment& which) {
            named.push_back(which.name(one_mb)); }};
    CHECK_THROWS(Error, find_held_wal(question));
    CHECK(named == std::vector<std::string>{"000000010000000000000003"});
}

TEST(SegmentFile, WhatAFailedSyncLeftInMemoryIsCutOff) {
    SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
    file.write(as_byte_span("durable"));
    (void)file.sync_data();
    file.write(as_byte_span("lost"));
    {
        FaultyFiles faulty;
        faulty.fail_at = "sync data";
        const ScopedFiles scope(faulty);
        CHECK_THROWS(Error, file.sync_data());
    }
    CHECK(file.synced() == begin + 7);
    STRCMP_EQUAL("durable", read_file(streaming() / "000000010000000000000003.partial")->c_str());
}

TEST(SegmentFile, AFailedSyncCutsNothingThatTheFileHeldBefore) {
    const std::string held_before(10000, 'h');  // to be received again from its start
    const std::string again(4000, 'h'), beyond(3000, 'n');
    const Path partial = streaming() / "000000010000000000000003.partial";
    {
        SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
        file.write(as_byte_span(held_before));
        (void)file.sync_data();
    }
    for (const std::string& received : {again, held_before + beyond}) {
        SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
        file.write(as_byte_span(received));
        FaultyFiles faulty;
        faulty.fail_at = "sync data";
        const ScopedFiles scope(faulty);
        CHECK_THROWS(Error, file.sync_data());
        STRCMP_EQUAL(held_before.c_str(), read_file(partial)->c_str());
        UNSIGNED_LONGS_EQUAL(one_mb.bytes(), std::filesystem::file_size(partial));
        CHECK(file.synced() == begin);
    }
}

TEST(SegmentFile, WhatIsReceivedAgainMayBeComparedWithWhatTheFileHolds) {
    const Path partial = streaming() / "000000010000000000000003.partial";
    {
        SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
        file.write(as_byte_span("held before"));
        (void)file.sync_data();
    }
    SegmentFile file(streaming(), segment, one_mb, begin, nullptr);
    file.compare_with_found();
    file.write(as_byte_span("held "));
    try {
        file.write(as_byte_span("after all"));
        FAIL("taken");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::server_mismatch);
    }
    STRCMP_EQUAL("held before", read_file(partial)->c_str());
    file.write(as_byte_span("before and more"));
    STRCMP_EQUAL("held before and more", read_file(partial)->c_str());
    UNSIGNED_LONGS_EQUAL(one_mb.bytes(), std::filesystem::file_size(partial));
}

TEST(SegmentFile, NoWalIsHeldWhereThereIsNone) {
    CHECK(held().empty());
}
