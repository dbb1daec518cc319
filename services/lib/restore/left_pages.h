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

class LeftPages {
  public:
    explicit LeftPages(const std::vector<LeftDatabase>& left);
    // In the order of replay. Throws refused for a record that cannot be replayed, for one that copies the files of
    // a database that is left out to one that is not, and for one that lets clients connect to it.
    void take(const wal::RecordView& record);

  private:
    static constexpr std::uint32_t chunk = 1U << 16;
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint8_t, std::uint32_t>;

    void take_map(const wal::RecordView& record) const;
    void take_block(const wal::RecordView& record, const wal::BlockReference& reference);

    std::set<std::uint32_t> oids_;
    std::map<Key, std::unique_ptr<std::bitset<chunk>>> whole_;
};

struct ReplayQuestion {
    const config::Server& server;
    const WalChain& chain;  // all that recovery passes through
    const WalIdentity& identity;
    Lsn begin;
    Lsn end;  // 0: to the end of the chain
    const std::function<bool()>& canceled;
};
// Throws refused when not, canceled.
void require_replay_without(const std::vector<LeftDatabase>& left, const ReplayQuestion& question);

}  // namespace coffer::restore
