#include "lib/restore/left_pages.h"

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/wal/little_endian.h"
#include "lib/wal/transactions.h"

namespace coffer::restore {
namespace {

constexpr std::uint8_t info_mask = 0xF0;
// PostgreSQL src/include/commands/dbcommands_xlog.h: the one way to create a database up to 14, STRATEGY file_copy
// since.
constexpr std::uint8_t create_by_copy = 0x00;
// PostgreSQL src/include/utils/relmapper.h: replay writes a whole new pg_filenode.map.
constexpr std::uint8_t map_update = 0x00;
// PostgreSQL src/include/access/xact.h and heapam_xlog.h: kinds within their resource managers.
constexpr std::uint8_t kind_mask = 0x70, prepare = 0x10, heap_update = 0x20, heap_hot_update = 0x40;
constexpr std::uint8_t main_fork = 0, init_fork = 3;

constexpr const char* remedy =
    "restore all databases and drop those that you do not want, or choose another backup or a target before this LSN";

}  // namespace

LeftPages::LeftPages(const std::vector<LeftDatabase>& left, BeforeReplay before) : now_(std::move(before)) {
    for (const LeftDatabase& one : left) oids_.insert(one.database.oid);
}

void LeftPages::take(const wal::RecordView& record) {
    const bool understood = record.for_each_block([&](const wal::BlockReference& reference) {
        require_names(record, reference);
        take_block(record, reference);
    });
    if (!understood) {
        throw Error(ErrorCode::corrupt, "a WAL record makes no sense", record.start.to_string(), remedy);
    }
    if (record.rmid == wal::rm_map && (record.info & info_mask) == map_update) take_map(record);
    if (record.rmid == wal::rm_database) take_database(record);
    if (record.rmid == wal::rm_xact) take_transaction(record);
}

void LeftPages::take_database(const wal::RecordView& record) {
    const auto data = record.main_data();
    if (!data) return;
    const std::uint8_t kind = record.info & info_mask;
    if (kind == (record.major_version < 15 ? 0x10 : 0x20)) return take_drop(*data);
    // The new database, its tablespace, and the two of the old one.
    if (kind != create_by_copy || data->size() < 16) return;
    const std::uint32_t made = wal::load32(*data, 0), from = wal::load32(*data, 8);
    if (made == from) moved_.emplace(made, wal::load32(*data, 12));
    if (oids_.count(from) == 0 || oids_.count(made) != 0) return;
    throw Error(
        ErrorCode::refused,
        fmt::format("databases cannot be left out: database {} was made after the backup as a copy of the files "
                    "of one of them, {}",
                    made, from),
        record.start.to_string(), "restore that one too, or choose a target before this LSN");
}

// PostgreSQL src/include/commands/dbcommands_xlog.h, xl_dbase_drop_rec: the database, and the tablespaces that it had
// files in. One that moves to another tablespace is dropped from the one before.
void LeftPages::take_drop(ByteSpan data) {
    if (data.size() < 8) return;
    const std::uint32_t oid = wal::load32(data, 0), count = wal::load32(data, 4);
    if (count == 1 && data.size() >= 12 && moved_.erase({oid, wal::load32(data, 8)}) > 0) return;
    if (oids_.count(oid) != 0) dropped_.insert(oid);
}

// PostgreSQL src/include/access/xact.h, xl_xact_prepare: magic number, length, transaction, database.
void LeftPages::take_transaction(const wal::RecordView& record) {
    if ((record.info & kind_mask) == prepare) {
        const auto data = record.main_data();
        if (data && data->size() >= 16) now_.prepared[wal::load32(*data, 8)] = wal::load32(*data, 12);
        return;
    }
    const auto event = wal::event_of(record);
    if (event && event->ends_transaction()) now_.prepared.erase(event->xid);
}

void LeftPages::require_ended() const {
    for (const auto& [xid, oid] : now_.prepared) {
        if (oids_.count(oid) == 0) continue;
        throw Error(ErrorCode::refused,
                    fmt::format("databases cannot be left out: transaction {} of database {} is prepared at the "
                                "target, and nobody could connect there to end it",
                                xid, oid),
                    {}, "restore that database too, or choose a target at which the transaction has ended");
    }
}

// The one that was chosen by its name may have another by now. Inserted and deleted rows are new and dropped databases.
void LeftPages::require_names(const wal::RecordView& record, const wal::BlockReference& reference) const {
    if (reference.database != 0 || reference.relation != now_.pg_database_file || reference.fork != main_fork) return;
    const std::uint8_t kind = record.info & kind_mask;
    if (record.rmid != wal::rm_heap || (kind != heap_update && kind != heap_hot_update)) return;
    throw Error(ErrorCode::refused,
                "databases cannot be left out: a database was renamed, or changed in another way, after the backup "
                "(ALTER DATABASE, GRANT ON DATABASE)",
                record.start.to_string(), remedy);
}

// A connection would not be refused any more, but end in a PANIC.
void LeftPages::take_map(const wal::RecordView& record) {
    const auto data = record.main_data();
    // Database, tablespace, size, and the new map.
    if (!data || data->size() < 12) return;
    const std::uint32_t oid = wal::load32(*data, 0);
    if (oid == 0) {
        const auto file = mapped_file(data->subspan(12), pg_database_oid, record.start.to_string());
        now_.pg_database_file = file.value_or(now_.pg_database_file);
    }
    if (oids_.count(oid) == 0) return;
    throw Error(ErrorCode::refused,
                fmt::format("databases cannot be left out: the catalogue of database {} was rewritten after the backup "
                            "(VACUUM FULL, CLUSTER or REINDEX)",
                            oid),
                record.start.to_string(), remedy);
}

void LeftPages::take_block(const wal::RecordView& record, const wal::BlockReference& reference) {
    if (oids_.count(reference.database) == 0) return;
    if (reference.fork != main_fork && reference.fork != init_fork) return;
    auto& pages =
        whole_[{reference.tablespace, reference.database, reference.relation, reference.fork, reference.block / chunk}];
    if (!pages) pages = std::make_unique<std::bitset<chunk>>();
    if (reference.whole) pages->set(reference.block % chunk);
    if (pages->test(reference.block % chunk)) return;
    throw Error(
        ErrorCode::refused,
        fmt::format("databases cannot be left out: recovery needs block {} of relation {} of database {}, and WAL "
                    "does not have it whole",
                    reference.block, reference.relation, reference.database),
        record.start.to_string(), remedy);
}

BeforeReplay before_replay(const Path& data) {
    BeforeReplay before{pg_database_file(data), {}};
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(data / "pg_twophase", none)) {
        const std::string text = read_file(entry.path()).value_or("");
        const ByteSpan bytes = as_byte_span(text);
        if (bytes.size() >= 16) before.prepared[wal::load32(bytes, 8)] = wal::load32(bytes, 12);
    }
    return before;
}

Lsn require_replay_without(std::vector<LeftDatabase>& left, const ReplayQuestion& question) {
    LeftPages pages(left, before_replay(question.data));
    const ReadingEnd reading = read_records(question.server, question.chain, 0, question.identity,
                                            wal::RecordKinds().set(), [&](const wal::RecordView& record) {
                                                if (question.canceled && question.canceled()) {
                                                    throw Error(ErrorCode::canceled, "the restore was canceled");
                                                }
                                                if (question.end.valid() && record.start >= question.end) return false;
                                                if (record.start >= question.begin) pages.take(record);
                                                return true;
                                            });
    if (!reading.stopped && question.end.valid() && reading.valid_end < question.end) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("WAL ends at {} ({}), before the target at {}", reading.valid_end.to_string(),
                                reading.reason, question.end.to_string()),
                    question.server.name, remedy);
    }
    pages.require_ended();
    for (LeftDatabase& one : left) one.dropped = pages.dropped(one.database.oid);
    return reading.valid_end;
}

}  // namespace coffer::restore
