#pragma once
// Can recovery go through the WAL when the files of some databases are holes?
//
// Replay of a record on a page that is not initialised is a PANIC ("WAL contains references to invalid pages"), unless
// the record brings the page whole, by an image or by making it from nothing, or one before it did. Mostly the first
// record of a page behind a checkpoint does, and a backup begins with one. But not where full_page_writes was off; nor
// where VACUUM marks a page all-visible in a cluster without page checksums; nor for the bucket of a hash index that is
// only locked (PostgreSQL 13 to 18: xlogutils.c, XLogReadBufferExtended; heapam.c, log_heap_visible; hashovfl.c). So
// all of the WAL is read, in order, at about the speed of its decompression; memory is a bit for each page that it
// brings. Free space and visibility maps may begin with a page of zeros.
//
// What else the WAL does to these databases is seen on the way: who dropped one, whether the names of the backup are
// still right, and whether a prepared transaction is left in one, which nobody could ever end and which would hold back
// vacuum in all of the cluster.
#include <bitset>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "lib/restore/databases.h"
#include "lib/restore/landmarks.h"
#include "lib/wal/record.h"

namespace coffer::restore {

// What the files of the backup say, before the first record.
struct BeforeReplay {
    std::uint32_t pg_database_file = pg_database_oid;
    std::map<std::uint32_t, std::uint32_t> prepared;  // databases of prepared transactions
};
// data: the data directory of a backup. Throws corrupt, io.
BeforeReplay before_replay(const Path& data);

class LeftPages {
  public:
    LeftPages(const std::vector<LeftDatabase>& left, BeforeReplay before);
    // In the order of replay. Throws refused for a record that cannot be replayed, for one that copies the files of
    // a database that is left out to one that is not, for one that lets clients connect to it, and for one that may
    // give a database another name.
    void take(const wal::RecordView& record);
    // After the last record. Throws refused when a prepared transaction is left in one of the databases.
    void require_ended() const;
    [[nodiscard]] bool dropped(std::uint32_t oid) const { return dropped_.contains(oid); }

  private:
    static constexpr std::uint32_t chunk = 1U << 16;
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint8_t, std::uint32_t>;

    void take_map(const wal::RecordView& record);
    void take_database(const wal::RecordView& record);
    void take_drop(ByteSpan data);
    void take_transaction(const wal::RecordView& record);
    void require_names(const wal::RecordView& record, const wal::BlockReference& reference) const;
    void take_block(const wal::RecordView& record, const wal::BlockReference& reference);

    std::set<std::uint32_t> oids_;
    std::set<std::uint32_t> dropped_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> moved_;  // databases, and the tablespaces that they leave
    BeforeReplay now_;
    std::map<Key, std::unique_ptr<std::bitset<chunk>>> whole_;
};

struct ReplayQuestion {
    const config::Server& server;
    const WalChain& chain;  // all that recovery passes through
    const WalIdentity& identity;
    const Path& data;  // of the backup
    Lsn begin;
    Lsn end;  // 0: to the end of the chain
    const std::function<bool()>& canceled;
};
// Says which of them are dropped on the way. The end of the last whole record that was read: what is held behind it by
// then was not looked at. Throws refused when they cannot be left out, corrupt when WAL ends before question.end,
// canceled.
Lsn require_replay_without(std::vector<LeftDatabase>& left, const ReplayQuestion& question);

}  // namespace coffer::restore
