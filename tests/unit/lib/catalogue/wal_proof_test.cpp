#include "lib/catalogue/wal_proof.h"

#include <CppUTest/TestHarness.h>

#include <cstring>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::catalogue;

namespace {

constexpr std::uint8_t online_checkpoint = 0x10;
constexpr std::uint8_t backup_end = 0x50;
constexpr std::size_t time_offset = 64;

std::string checkpoint_of(Lsn redo, std::uint64_t time) {
    std::string data(88, '\0');
    std::memcpy(data.data(), &redo.value, sizeof redo.value);
    std::memcpy(data.data() + time_offset, &time, sizeof time);
    return data;
}

std::string bytes_of(Lsn lsn) {
    return {reinterpret_cast<const char*>(&lsn.value), sizeof lsn.value};
}

}  // namespace

TEST_GROUP(WalProof) {
    test::ServerFixture place;
    test::WalBuilder wal;
    BackupInfo info;
    Lsn checkpoint;

    // A backup from a primary that goes over into a second segment.
    void setup() override {
        info.backup_id = "20261128T120000";
        info.status = BackupStatus::done;
        info.timeline = 1;
        info.version = 150018;
        info.systemid = wal.options().system_identifier;
        info.xlog_segment_size = wal.options().size;
        wal.filler(100);
        info.begin_xlog = wal.position();
        wal.filler(3000);
        checkpoint = wal.record(0, online_checkpoint, 0, checkpoint_of(info.begin_xlog, 1000));
        wal.fill_segment();
        wal.record(0, backup_end, 0, bytes_of(info.begin_xlog));
        info.end_xlog = wal.position();
        info.begin_wal = wal.options().first.name(info.xlog_segment_size);
        info.end_wal = wal.options().first.next().name(info.xlog_segment_size);
        info.backup_label = "START WAL LOCATION: " + info.begin_xlog.to_string() +
                            " (file x)\nCHECKPOINT LOCATION: " + checkpoint.to_string() +
                            "\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n";
        hold();
        save(1000);
    }
    void hold() {
        wal.filler(50);
        for (const wal::Segment& segment : info.required_segments())
            place.archive(segment.name(info.xlog_segment_size), wal.segment(segment.number));
    }
    void save(std::uint64_t time) {
        const Catalogue catalogue(place.server);
        std::filesystem::create_directories(catalogue.data_path(info.backup_id) / "global");
        std::string control(8192, '\0');
        std::memcpy(control.data() + 32, &checkpoint.value, sizeof checkpoint.value);
        control.replace(40, 88, checkpoint_of(info.begin_xlog, time));
        write_file_durably(catalogue.data_path(info.backup_id) / "global/pg_control", control);
        catalogue.save(info);
        catalogue.save(info.backup_id, Extra{});
    }
    std::optional<ErrorCode> refusal() {
        try {
            prove_wal(place.server, info);
            return std::nullopt;
        } catch (const Error& error) {
            return error.code();
        }
    }
};

TEST(WalProof, BelievesTheWalThatTheBackupWasTakenWith) {
    CHECK(!refusal());
}

TEST(WalProof, RefusesACheckpointOfAnotherSecondAtTheSamePlace) {
    save(1001);
    CHECK(refusal() == ErrorCode::server_mismatch);
}

TEST(WalProof, RefusesAnotherRedo) {
    info.begin_xlog = info.begin_xlog + 8;
    CHECK(refusal() == ErrorCode::server_mismatch);
}

TEST(WalProof, WantsTheRecordOfTheEndWhereCofferTookTheBackupFromAPrimary) {
    info.end_xlog = wal.record(10, 0, 0, "something else");
    // Its place is before the end still.
    CHECK(!refusal());
    wal.fill_segment();
    info.end_xlog = wal.position();
    info.end_wal = wal.options().first.next().next().name(info.xlog_segment_size);
    hold();
    CHECK(refusal() == ErrorCode::server_mismatch);
    std::filesystem::remove(place.server.meta_directory() / (info.backup_id + "-coffer.json"));
    CHECK(!refusal());  // Barman's end where the server was a moment later
    save(1000);
    info.backup_label.replace(info.backup_label.find("primary"), 7, "standby");
    CHECK(!refusal());
}

TEST(WalProof, CallsDamageDamageAndAbsenceAbsence) {
    const Path first = wal::archive_path(place.server, info.begin_wal);
    std::string bytes = *read_file(first);
    bytes[info.begin_xlog.value % info.xlog_segment_size.bytes() + 200] ^= 1;
    write_file_durably(first, bytes);
    CHECK(refusal() == ErrorCode::corrupt);
    std::filesystem::remove(first);
    CHECK(refusal() == ErrorCode::no_such_wal);
}

TEST(WalProof, BelievesARecordThatSaysNothing) {
    info.backup_label.clear();
    std::filesystem::remove(Catalogue(place.server).data_path(info.backup_id) / "global/pg_control");
    std::filesystem::remove_all(place.server.wals_directory);
    CHECK(!refusal());
}
