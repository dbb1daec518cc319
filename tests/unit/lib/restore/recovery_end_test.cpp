#include "lib/restore/recovery_end.h"

#include <CppUTest/TestHarness.h>

#include <cstdlib>
#include <fstream>

#include "lib/base/error.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

namespace {

WallTime at_second(int second) {
    return parse_time("2026-11-23 10:00:00Z").time + std::chrono::seconds(second);
}

// Six segments of 1 MB, 5 to 10, the last one unfinished. A backup from the start of 5 to the first commit of 6; a
// commit of transaction 1000 + n at second n in segment n, and the restore point "n".
class Box {
  public:
    Box() {
        char name[] = "/tmp/coffer-recovery-XXXXXX";
        root = ::mkdtemp(name);
        server.name = "main";
        server.wals_directory = root / "wals";
        server.streaming_wals_directory = root / "streaming";
        server.incoming_wals_directory = root / "incoming";
        for (const Path& directory :
             {server.wals_directory, server.streaming_wals_directory, server.incoming_wals_directory}) {
            fs::create_directories(directory);
        }
        backup.backup_id = "20261123T100000";
        backup.timeline = 1;
        backup.xlog_segment_size = wal.options().size;
        backup.begin_time = at_second(-10);
        for (std::uint64_t number = 5; number <= 10; ++number) {
            const int second = static_cast<int>(number);
            commits[number] = wal.commit(1000 + static_cast<std::uint32_t>(number), at_second(second));
            wal.restore_point(std::to_string(number), at_second(second));
            if (number == 5) backup.begin_xlog = commits[number];
            if (number == 6) {
                backup.end_xlog = wal.position();
                backup.end_time = at_second(6);
            }
            if (number < 10) wal.fill_segment();
        }
        end = wal.position();
        for (std::uint64_t number = 5; number <= 10; ++number) put(number, number == 10);
    }
    ~Box() { fs::remove_all(root); }

    std::string name(std::uint64_t number) const { return wal::Segment{1, number}.name(wal.options().size); }
    void put(std::uint64_t number, bool partial) const {
        const Path folder =
            partial ? server.streaming_wals_directory : server.wals_directory / wal::archive_folder_of(name(number));
        fs::create_directories(folder);
        std::ofstream(folder / (name(number) + (partial ? ".partial" : ""))) << wal.segment(number);
    }
    void lose(std::uint64_t number) const {
        fs::remove(server.wals_directory / wal::archive_folder_of(name(number)) / name(number));
    }

    RecoveryEnd find(const RestoreTarget& target) const {
        const auto holdings = wal::Holdings::scan(server, wal.options().size);
        const WalChain chain = chain_from(holdings, {{1, Lsn{}, no_end}}, backup.begin_xlog);
        return find_recovery_end({server, backup, target, chain, {wal.options().system_identifier, 15}, nullptr});
    }
    Error refusal(const RestoreTarget& target) const {
        try {
            find(target);
        } catch (const Error& error) {
            return error;
        }
        return Error(ErrorCode::internal, "not refused");
    }

    test::WalBuilder wal;
    Path root;
    config::Server server;
    catalogue::BackupInfo backup;
    std::map<std::uint64_t, Lsn> commits;
    Lsn end;
};

RestoreTarget to_time(int second, bool inclusive = true) {
    RestoreTarget target;
    target.kind = TargetKind::time;
    target.time = at_second(second);
    target.inclusive = inclusive;
    return target;
}

RestoreTarget to(TargetKind kind, std::uint32_t xid, Lsn lsn, const char* name, bool inclusive = true) {
    RestoreTarget target;
    target.kind = kind;
    target.xid = xid;
    target.lsn = lsn;
    target.name = name;
    target.inclusive = inclusive;
    return target;
}

}  // namespace

TEST_GROUP(RecoveryEnd) {
    Box box;
};

TEST(RecoveryEnd, WithoutATargetIsTheLastWholeRecordOfTheUnfinishedSegment) {
    const RecoveryEnd end = box.find({});
    CHECK(end.end == box.end);
    UNSIGNED_LONGS_EQUAL(5, end.last_piece);
    CHECK(end.last_commit == at_second(10));
    UNSIGNED_LONGS_EQUAL(1010, *end.last_xid);
}

TEST(RecoveryEnd, IsBeforeTheFirstCommitBehindATime) {
    for (int second = 7; second <= 9; ++second) {
        const RecoveryEnd end = box.find(to_time(second));
        CHECK(end.end == box.commits[static_cast<std::uint64_t>(second) + 1]);
        CHECK(end.last_commit == at_second(second));
        const RecoveryEnd exclusive = box.find(to_time(second, false));
        CHECK(exclusive.end == box.commits[static_cast<std::uint64_t>(second)]);
    }
    CHECK(box.find(to_time(10, false)).end == box.commits[10]);
}

TEST(RecoveryEnd, RefusesATimeThatIsNotBeforeTheLastCommit) {
    const Error error = box.refusal(to_time(10));
    CHECK(error.code() == ErrorCode::target_unreachable);
    CHECK(error.fact().find("2026-11-23 10:00:10+00") != std::string::npos);
    CHECK(box.refusal(to_time(11, false)).code() == ErrorCode::target_unreachable);
}

TEST(RecoveryEnd, RefusesWhatLiesBeforeTheEndOfTheBackup) {
    CHECK(box.refusal(to_time(5)).code() == ErrorCode::target_unreachable);
    CHECK(box.refusal(to_time(-3600)).code() == ErrorCode::target_unreachable);
    CHECK(box.refusal(to(TargetKind::xid, 1005, {}, "")).code() == ErrorCode::target_unreachable);
    CHECK(box.refusal(to(TargetKind::lsn, 0, box.commits[6], "")).code() == ErrorCode::target_unreachable);
    CHECK(box.refusal(to(TargetKind::name, 0, {}, "5")).code() == ErrorCode::target_unreachable);
}

TEST(RecoveryEnd, FindsTransactionsRestorePointsAndPositions) {
    CHECK(box.find(to(TargetKind::xid, 1008, {}, "")).end > box.commits[8]);
    CHECK(box.find(to(TargetKind::xid, 1008, {}, "", false)).end == box.commits[8]);
    CHECK(box.find(to(TargetKind::xid, 1008, {}, "", false)).last_commit == at_second(7));
    CHECK(box.find(to(TargetKind::name, 0, {}, "9")).end > box.commits[9]);
    CHECK(box.find(to(TargetKind::lsn, 0, box.commits[9], "", false)).end == box.commits[9]);
    CHECK(box.find(to(TargetKind::lsn, 0, box.commits[9], "")).end > box.commits[9]);
    UNSIGNED_LONGS_EQUAL(5, box.find(to(TargetKind::lsn, 0, box.commits[9], "")).last_piece);
    CHECK(box.find(to(TargetKind::immediate, 0, {}, "")).end == box.backup.end_xlog);
    UNSIGNED_LONGS_EQUAL(1, box.find(to(TargetKind::immediate, 0, {}, "")).last_piece);
}

TEST(RecoveryEnd, SaysWhatCanBeReachedWhenATargetIsNotThere) {
    for (const RestoreTarget& target : {to(TargetKind::xid, 5000, {}, ""), to(TargetKind::name, 0, {}, "nope"),
                                        to(TargetKind::lsn, 0, box.end, "")}) {
        const Error error = box.refusal(target);
        CHECK(error.code() == ErrorCode::target_unreachable);
        CHECK(error.remedy().find("1010 at 2026-11-23 10:00:10+00") != std::string::npos);
    }
}

TEST(RecoveryEnd, NamesTheSegmentThatIsMissing) {
    box.lose(8);
    const Error to_end = box.refusal({});
    CHECK(to_end.code() == ErrorCode::wal_gap);
    STRCMP_EQUAL(box.name(8).c_str(), to_end.where().c_str());
    CHECK(box.refusal(to_time(9)).code() == ErrorCode::wal_gap);
    CHECK(box.refusal(to(TargetKind::xid, 1009, {}, "")).code() == ErrorCode::wal_gap);
    CHECK(box.find(to_time(6)).end == box.commits[7]);  // before the gap
    CHECK(box.find(to(TargetKind::immediate, 0, {}, "")).end == box.backup.end_xlog);
    box.lose(6);
    STRCMP_EQUAL(box.name(6).c_str(), box.refusal(to(TargetKind::immediate, 0, {}, "")).where().c_str());
    box.lose(5);
    STRCMP_EQUAL(box.name(5).c_str(), box.refusal({}).where().c_str());
}

TEST(RecoveryEnd, TakesAPartOfASegmentInTheMiddleForAGap) {
    box.lose(8);
    const std::string part = box.wal.segment(8).substr(0, 300000);
    std::ofstream(box.server.streaming_wals_directory / (box.name(8) + ".partial")) << part;
    const Error error = box.refusal({});
    CHECK(error.code() == ErrorCode::wal_gap);
    STRCMP_EQUAL(box.name(8).c_str(), error.where().c_str());
    // A segment that only waits for its last rename is whole.
    box.put(8, true);
    CHECK(box.find({}).end == box.end);
}

TEST(RecoveryEnd, RefusesToEndInTheMiddleOfAFinishedSegment) {
    fs::remove(box.server.streaming_wals_directory / (box.name(10) + ".partial"));
    const Path last = box.server.wals_directory / wal::archive_folder_of(box.name(9)) / box.name(9);
    CHECK(box.find({}).last_commit == at_second(9));
    std::string bytes = *read_file(last);
    bytes[600000] = static_cast<char>(bytes[600000] ^ 0x40);
    std::ofstream(last) << bytes;
    const Error error = box.refusal({});
    CHECK(error.code() == ErrorCode::corrupt);
    STRCMP_EQUAL(last.c_str(), error.where().c_str());
    CHECK(box.find(to_time(8)).end == box.commits[9]);  // what lies before the damage can be had
}

TEST(RecoveryEnd, WarnsWhenTheUnfinishedSegmentIsDamagedBeforeItsLastRecord) {
    CHECK(box.find({}).warning.empty());
    const Path partial = box.server.streaming_wals_directory / (box.name(10) + ".partial");
    std::string bytes = *read_file(partial);
    // The front of one more record is no damage.
    std::string longer = bytes;
    const std::size_t end = box.end.value % bytes.size();
    longer[end] = 100;
    longer[end + 50] = 'x';
    std::ofstream(partial) << longer;
    CHECK(box.find({}).warning.empty());
    const std::size_t commit = box.commits[10].value % bytes.size();
    bytes[commit + 30] = static_cast<char>(bytes[commit + 30] ^ 0x40);
    std::ofstream(partial) << bytes;
    const RecoveryEnd found = box.find({});
    CHECK(found.end == box.commits[10]);
    CHECK(found.warning.find(box.commits[10].to_string()) != std::string::npos);
}

TEST(RecoveryEnd, NeedsAllSegmentsOfTheRecordAtWhichItStops) {
    // Behind segment 10: a record over three segments and more, and a commit.
    const Lsn target = box.wal.position();
    const Lsn long_record = box.wal.filler(std::size_t{7} << 19);
    const Lsn commit = box.wal.commit(2000, at_second(100));
    const std::uint64_t last = box.wal.position().value >> 20;
    for (std::uint64_t number = 10; number <= last; ++number) box.put(number, number == last);
    fs::remove(box.server.streaming_wals_directory / (box.name(10) + ".partial"));
    for (const bool inclusive : {true, false}) {
        const RecoveryEnd end = box.find(to(TargetKind::lsn, 0, target, "", inclusive));
        UNSIGNED_LONGS_EQUAL((commit.value >> 20) - 5, end.last_piece);
        CHECK(end.end == (inclusive ? commit : long_record));
    }
}

TEST(RecoveryEnd, FindsATimeThatASlowerClockCameBackTo) {
    box.wal.commit(2000, at_second(60));
    const Lsn stop = box.wal.position();
    box.wal.commit(2001, at_second(62));
    box.wal.commit(2002, at_second(61));
    box.wal.fill_segment();
    box.wal.commit(2003, at_second(30));  // another server goes on, half a minute behind
    for (const std::uint64_t number : {10, 11}) box.put(number, number == 11);
    fs::remove(box.server.streaming_wals_directory / (box.name(10) + ".partial"));
    const RecoveryEnd end = box.find(to_time(61));
    CHECK(end.end == stop);
    CHECK(end.last_commit == at_second(60));
    CHECK(box.refusal(to_time(62)).code() == ErrorCode::target_unreachable);
}

TEST(RecoveryEnd, TrustsCommitsRatherThanTheClockOfTheBox) {
    box.backup.begin_time = at_second(300);
    box.backup.end_time = at_second(306);
    CHECK(box.find(to_time(7)).end == box.commits[8]);
    box.backup.begin_time = at_second(3600);
    box.backup.end_time = at_second(3606);
    CHECK(box.refusal(to_time(7)).code() == ErrorCode::target_unreachable);
}
