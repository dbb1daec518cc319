#include "lib/restore/left_pages.h"

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/wal/little_endian.h"

namespace coffer::restore {
namespace {

constexpr std::uint8_t info_mask = 0xF0;
// PostgreSQL src/include/commands/dbcommands_xlog.h: the one way to create a database up to 14, STRATEGY file_copy
// since.
constexpr std::uint8_t create_by_copy = 0x00;
// PostgreSQL src/include/utils/relmapper.h: replay writes a whole new pg_filenode.map.
constexpr std::uint8_t map_update = 0x00;
constexpr std::uint8_t main_fork = 0, init_fork = 3;

constexpr const char* remedy =
    "restore all databases and drop those that you do not want, or choose another backup or a target before this LSN";

}  // namespace

LeftPages::LeftPages(const std::vector<LeftDatabase>& left) {
    for (const LeftDatabase& one : left) oids_.insert(one.database.oid);
}

void LeftPages::take(const wal::RecordView& record) {
    const bool understood =
        record.for_each_block([&](const wal::BlockReference& reference) { take_block(record, reference); });
    if (!understood) {
        throw Error(ErrorCode::corrupt, "a WAL record makes no sense", record.start.to_string(), remedy);
    }
    if (record.rmid == wal::rm_map && (record.info & info_mask) == map_update) take_map(record);
    if (record.rmid != wal::rm_database || (record.info & info_mask) != create_by_copy) return;
    // The new database, its tablespace, and the two of the old one.
    const auto data = record.main_data();
    if (!data || data->size() < 16) return;
    const std::uint32_t made = wal::load32(*data, 0), from = wal::load32(*data, 8);
    if (oids_.count(from) == 0 || oids_.count(made) != 0) return;
    throw Error(
        ErrorCode::refused,
        fmt::format("databases cannot be left out: database {} was made after the backup as a copy of the files "
                    "of one of them, {}",
                    made, from),
        record.start.to_string(), "restore that one too, or choose a target before this LSN");
}

// A connection would not be refused any more, but end in a PANIC.
void LeftPages::take_map(const wal::RecordView& record) const {
    const auto data = record.main_data();
    if (!data || data->size() < 4 || oids_.count(wal::load32(*data, 0)) == 0) return;
    throw Error(ErrorCode::refused,
                fmt::format("databases cannot be left out: the catalogue of database {} was rewritten after the backup "
                            "(VACUUM FULL, CLUSTER or REINDEX)",
                            wal::load32(*data, 0)),
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

void require_replay_without(const std::vector<LeftDatabase>& left, const ReplayQuestion& question) {
    LeftPages pages(left);
    read_records(question.server, question.chain, 0, question.identity, wal::RecordKinds().set(),
                 [&](const wal::RecordView& record) {
                     if (question.canceled && question.canceled()) {
                         throw Error(ErrorCode::canceled, "the restore was canceled");
                     }
                     if (question.end.valid() && record.start >= question.end) return false;
                     if (record.start >= question.begin) pages.take(record);
                     return true;
                 });
}

}  // namespace coffer::restore
