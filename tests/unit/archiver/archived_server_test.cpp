#include "services/archiver/archived_server.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>

#include "lib/catalogue/catalogue.h"
#include "lib/wal/xlogdb.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::archiver;
using namespace std::chrono_literals;

namespace {

std::string segment_of(std::uint64_t number) {
    test::WalOptions options;
    options.first = {1, number};
    test::WalBuilder builder(options);
    builder.fill_segment();
    return builder.segment(number);
}

std::string name_of_segment(std::uint64_t number) {
    return wal::Segment{1, number}.name(wal::SegmentSize::from_bytes(1 << 20).value());
}

// Its monotonic time may be put forward.
class MovedClock : public Clock {
  public:
    std::chrono::seconds forward{0};
    [[nodiscard]] MonotonicTime monotonic() const override { return Clock::monotonic() + forward; }
};

// Has no room for anything while full.
class FullDisk : public Files {
  public:
    std::atomic<bool> full{true};
    void append(int fd, ByteSpan data, const Path& path) override {
        if (full) throw Error::from_errno(ENOSPC, "cannot write to file", path.string());
        Files::append(fd, data, path);
    }
};

}  // namespace

TEST_GROUP(ArchivedServer) {
    Path home;
    config::Server server;
    MovedClock clock;
    FullDisk disk;
    EventLoop loop;
    std::optional<WorkerPool> pool;
    std::optional<Background> background;
    std::optional<Background> removals;
    std::optional<ArchivedServer> archived;
    std::vector<std::string> names;

    void setup() override {
        char name[] = "/tmp/coffer-archiver-XXXXXX";
        home = ::mkdtemp(name);
        server.name = "main";
        server.archiver = server.streaming_archiver = true;
        server.backup_directory = home;
        server.basebackups_directory = home / "base";
        server.wals_directory = server.xlogdb_directory = home / "wals";
        server.incoming_wals_directory = home / "incoming";
        server.streaming_wals_directory = home / "streaming";
        server.errors_directory = home / "errors";
        server.compression = config::Codec::lz4;
        pool.emplace(3);
        background.emplace(loop, 1);
        removals.emplace(loop, 1);
    }
    void teardown() override {
        archived.reset();
        background.reset();
        removals.reset();
        pool.reset();
        std::filesystem::remove_all(home);
    }
    void start() {
        archived.emplace(Workshop{loop, *pool, *background, *removals, *removals, clock}, server,
                         ArchivedServer::Listener{[] {}, [this](const std::string& name) { names.push_back(name); }});
    }
    void put(const char* folder, const std::string& name, const std::string& bytes) {
        std::filesystem::create_directories(home / folder);
        write_file_durably(home / folder / name, bytes);
    }
    bool until(const std::function<bool()>& done) {
        return loop.run_until(done, 10s);
    }
    bool until_archived(std::size_t count) {
        return until([&] { return names.size() >= count && archived->queued() == 0; });
    }
};

TEST(ArchivedServer, ArchivesWhatLiesThereAtTheStart) {
    for (std::uint64_t number = 1; number <= 5; ++number) put("incoming", name_of_segment(number), segment_of(number));
    put("streaming", name_of_segment(6), segment_of(6));
    put("streaming", name_of_segment(7) + ".partial.tmp", "unfinished");
    start();
    STRCMP_EQUAL("starting", archived->state().c_str());
    CHECK(until_archived(6));
    LONGS_EQUAL(6, archived->archive()->state().wal_count);
    STRCMP_EQUAL("idle", archived->state().c_str());
}

TEST(ArchivedServer, ArchivesWhatAppears) {
    start();
    CHECK(until([&] { return archived->archive() != nullptr; }));
    put("incoming", name_of_segment(1), segment_of(1));
    CHECK(until_archived(1));
    put("streaming", name_of_segment(2), segment_of(2));
    archived->found_streamed(name_of_segment(2));
    CHECK(until_archived(2));
    LONGS_EQUAL(2, wal::read_xlogdb(home / "wals/xlog.db").lines.size());
}

TEST(ArchivedServer, WatchesADirectoryAnewThatWasRemovedOrRenamed) {
    start();
    CHECK(until([&] { return archived->archive() != nullptr; }));
    std::filesystem::remove_all(home / "incoming");
    CHECK(until([&] { return std::filesystem::is_directory(home / "incoming"); }));
    put("incoming", name_of_segment(1), segment_of(1));
    CHECK(until_archived(1));
}

TEST(ArchivedServer, ADirectoryThatIsSwappedIsNotMadeMeanwhile) {
    start();
    CHECK(until([&] { return archived->archive() != nullptr; }));
    std::filesystem::rename(home / "incoming", home / "renamed");
    put("incoming.new", name_of_segment(2), segment_of(2));
    put("renamed", name_of_segment(3), segment_of(3));
    CHECK(loop.run_once(10s));  // it is missed
    std::filesystem::rename(home / "incoming.new", home / "incoming");
    CHECK(until_archived(1));
    put("incoming", name_of_segment(4), segment_of(4));
    CHECK(until_archived(2));
    STRCMP_EQUAL(name_of_segment(4).c_str(), names.back().c_str());
    CHECK(std::filesystem::exists(home / "renamed" / name_of_segment(3)));
    LONGS_EQUAL(0, archived->error_files());
}

TEST(ArchivedServer, LeavesDirectoriesAlone) {
    std::filesystem::create_directories(home / "incoming/lost+found");
    start();
    std::filesystem::create_directories(home / "incoming.new");
    std::filesystem::rename(home / "incoming.new", home / "incoming/incoming.new");
    put("incoming", name_of_segment(1), segment_of(1));
    CHECK(until_archived(1));
    STRCMP_EQUAL("idle", archived->state().c_str());
    LONGS_EQUAL(0, archived->error_files());
    CHECK(std::filesystem::exists(home / "incoming/lost+found"));
}

// As the landing volume of an appliance: what is in it is taken whenever it is there.
TEST(ArchivedServer, NoticesWhatIsMountedOverADirectoryAndTakenAway) {
    if (::geteuid() != 0) return;
    put("incoming", name_of_segment(1), segment_of(1));
    start();
    CHECK(until_archived(1));
    const std::string target = (home / "incoming").string();
    for (std::uint64_t number = 2; number <= 5; number += 2) {
        LONGS_EQUAL(0, ::mount("tmpfs", target.c_str(), "tmpfs", 0, "size=8m"));
        put("incoming", name_of_segment(number), segment_of(number));
        const bool taken = until_archived(number);
        LONGS_EQUAL(0, ::umount2(target.c_str(), MNT_DETACH));  // a worker may not have closed it yet
        CHECK(taken);
        put("incoming", name_of_segment(number + 1), segment_of(number + 1));
        CHECK(until_archived(number + 1));
    }
    STRCMP_EQUAL("idle", archived->state().c_str());
}

// More than the kernel keeps, and only then what matters.
TEST(ArchivedServer, ReadsADirectoryAnewWhenChangesWereLost) {
    start();
    CHECK(until([&] { return archived->archive() != nullptr; }));
    const unsigned long kept = std::stoul(read_file("/proc/sys/fs/inotify/max_queued_events").value());
    const Path file = home / "incoming/.a";
    const Path other = home / "incoming/.b";
    write_file_durably(file, "");
    for (unsigned long i = 0; i <= kept; i += 2) {
        std::filesystem::rename(file, other);
        std::filesystem::rename(other, file);
    }
    put("incoming", name_of_segment(1), segment_of(1));
    CHECK(until_archived(1));
}

TEST(ArchivedServer, LeavesTheUnfinishedSegmentToTheStreamer) {
    put("streaming", name_of_segment(1) + ".partial", segment_of(1).substr(0, 8192));
    start();
    put("streaming", name_of_segment(2), segment_of(2));
    CHECK(until_archived(1));
    put("streaming", name_of_segment(1) + ".partial", segment_of(1).substr(0, 16384));  // while it is watched
    put("streaming", name_of_segment(3), segment_of(3));
    CHECK(until_archived(2));
    CHECK(std::filesystem::exists(home / "streaming" / (name_of_segment(1) + ".partial")));
    LONGS_EQUAL(0, archived->error_files());
}

TEST(ArchivedServer, RemovesTheUnfinishedSegmentThatArrivedWholeWhenNobodyStreams) {
    server.streaming_archiver = false;
    std::string begun = segment_of(1);
    std::fill(begun.begin() + 500000, begun.end(), '\0');
    for (const std::uint64_t number : {1, 2}) put("streaming", name_of_segment(number) + ".partial", begun);
    start();
    put("incoming", name_of_segment(1), segment_of(1));
    const Path partial = home / "streaming" / (name_of_segment(1) + ".partial");
    CHECK(until([&] { return !std::filesystem::exists(partial); }));
    CHECK(std::filesystem::exists(home / "streaming" / (name_of_segment(2) + ".partial")));
}

TEST(ArchivedServer, GoesOnByItselfAfterAnError) {
    put("wals", "0000000100000000", "a file where a directory should be");
    put("incoming", name_of_segment(1), segment_of(1));
    start();
    CHECK(until([&] { return archived->state() == "failed"; }));
    CHECK(!archived->last_error().empty());
    CHECK(std::filesystem::exists(home / "incoming" / name_of_segment(1)));
    std::filesystem::remove(home / "wals/0000000100000000");
    put("incoming", name_of_segment(1), segment_of(1));  // sent again
    CHECK(until_archived(1));
    STRCMP_EQUAL("idle", archived->state().c_str());
    STRCMP_EQUAL("", archived->last_error().c_str());
}

TEST(ArchivedServer, IsNotInTroubleForAFileThatHasGone) {
    put("wals", "0000000100000000", "a file where a directory should be");
    put("incoming", name_of_segment(1), segment_of(1));
    start();
    CHECK(until([&] { return archived->state() == "failed"; }));
    std::filesystem::remove(home / "incoming" / name_of_segment(1));
    clock.forward += IntakeQueue::failure_pause;
    archived->found_streamed(name_of_segment(2));
    CHECK(until([&] { return archived->state() == "idle"; }));
    STRCMP_EQUAL("", archived->last_error().c_str());
}

TEST(ArchivedServer, StaysInTroubleForAFileThatFailsWhileOthersAreArchived) {
    put("wals", "0000000100000001", "a file where a directory should be");
    put("incoming", name_of_segment(4096), segment_of(4096));
    start();
    CHECK(until([&] { return archived->state() == "failed"; }));
    put("incoming", name_of_segment(1), segment_of(1));
    CHECK(until([&] { return names.size() == 1; }));
    STRCMP_EQUAL("failed", archived->state().c_str());
    std::filesystem::remove(home / "wals/0000000100000001");
    clock.forward += IntakeQueue::failure_pause;
    archived->found_streamed(name_of_segment(2));
    CHECK(until_archived(2));
    STRCMP_EQUAL("idle", archived->state().c_str());
}

TEST(ArchivedServer, IsOutOfSpaceOnlyWhileItIs) {
    put("streaming", name_of_segment(1), segment_of(1));
    const ScopedFiles scope(disk);
    start();
    CHECK(until([&] { return archived->state() == "no-space"; }));
    CHECK(!archived->last_error().empty());
    std::filesystem::remove(home / "streaming" / name_of_segment(1));
    clock.forward += IntakeQueue::no_space_pause;
    archived->found_streamed(name_of_segment(2));
    CHECK(until([&] { return archived->state() == "idle"; }));
    STRCMP_EQUAL("", archived->last_error().c_str());
    disk.full = false;
    put("streaming", name_of_segment(1), segment_of(1));
    CHECK(until_archived(1));
}

TEST(ArchivedServer, CountsADamagedFileThatAGoodOneReplaced) {
    const std::string folder = "wals/" + name_of_segment(1).substr(0, 16);
    put(folder.c_str(), name_of_segment(1), segment_of(2));
    put("incoming", name_of_segment(1), segment_of(1));
    start();
    CHECK(until_archived(1));
    LONGS_EQUAL(1, archived->error_files());
    CHECK(read_file(home / folder / name_of_segment(1)).has_value());
}

TEST(ArchivedServer, ClosesWhenItsWorkersAreDone) {
    for (std::uint64_t number = 1; number <= 8; ++number) put("incoming", name_of_segment(number), segment_of(number));
    start();
    CHECK(until([&] { return archived->state() == "archiving"; }));
    bool closed = false;
    archived->close([&closed] { closed = true; });
    CHECK(until([&] { return closed; }));
    CHECK(!names.empty());
}

TEST(ArchivedServer, FinishesABackupWhenTheWalItWaitsForIsArchived) {
    const catalogue::Catalogue catalogue(server);
    catalogue.create_directories();
    catalogue::BackupInfo info;
    info.backup_id = catalogue.claim_backup_id(clock).backup_id;
    info.status = catalogue::BackupStatus::waiting_for_wals;
    info.xlog_segment_size = wal::SegmentSize::from_bytes(1 << 20).value();
    info.begin_wal = name_of_segment(1);
    info.end_wal = name_of_segment(2);
    info.end_xlog = Lsn{(2 << 20) + 100};
    catalogue.save(info);
    const auto status = [&] { return catalogue.get(info.backup_id).status; };
    put("streaming", name_of_segment(1), segment_of(1));
    start();
    CHECK(until_archived(1));
    CHECK(status() == catalogue::BackupStatus::waiting_for_wals);
    put("streaming", name_of_segment(2), segment_of(2));
    CHECK(until_archived(2));
    CHECK(until([&] { return status() == catalogue::BackupStatus::done; }));
}

TEST(ArchivedServer, ArchivesAlsoWhileARemovalCannotBeFinished) {
    const catalogue::Catalogue catalogue(server);
    catalogue.create_directories();
    const std::string backup = catalogue.claim_backup_id(clock).backup_id;
    write_file_durably(server.meta_directory() / (backup + "-delete_this"), "");
    const catalogue::BackupLock reader(server, backup);
    put("streaming", name_of_segment(1), segment_of(1));
    start();
    CHECK(until_archived(1));
}

TEST(ArchivedServer, DoesNothingForAnInactiveServer) {
    server.active = false;
    start();
    STRCMP_EQUAL("disabled", archived->state().c_str());
    server.active = true;
    server.disabled = true;
    server.problems.push_back({"x.conf", 3, "no conninfo", "", true});
    start();
    STRCMP_EQUAL("misconfigured", archived->state().c_str());
    STRCMP_EQUAL("x.conf:3: no conninfo", archived->last_error().c_str());
}
