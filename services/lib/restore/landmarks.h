#pragma once
// The records at which a recovery may stop, read from a chain of segments wherever they lie (compressed or not).
//
// Memory is one record and one block of a file; about the speed of decompression. Thread-safe: no state is shared.
#include <functional>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/restore/wal_chain.h"
#include "lib/wal/page_walker.h"
#include "lib/wal/segment_check.h"

namespace coffer::restore {

struct Landmark {
    enum class Kind { other, transaction_end, restore_point };
    Kind kind = Kind::other;
    Lsn start;
    Lsn end;
    std::uint32_t xid = 0;   // transaction_end: of the prepared transaction where it was one
    WallTime time;           // transaction_end
    bool committed = false;  // transaction_end: else it was rolled back
    std::string name;        // restore_point
};

// false ends the reading.
using LandmarkHandler = std::function<bool(const Landmark&)>;

struct ReadingEnd {
    Lsn valid_end;         // of the last whole record read; 0 for none
    bool stopped = false;  // by the handler
    std::string reason;    // why nothing was read behind valid_end
};

struct WalIdentity {
    std::uint64_t system_identifier = 0;  // 0: not compared
    std::uint32_t major_version = 0;
};

// Every whole record from the beginning of pieces[first] on, in order, the rest of a record begun before left out.
// server: where a file is looked for again that was archived since the chain was made. Throws io, corrupt (a compressed
// file).
ReadingEnd read_landmarks(const config::Server& server, const WalChain& chain, std::size_t first,
                          const WalIdentity& identity, const LandmarkHandler& handler);

// The same for records as they are; keep: the kinds whose payload is wanted.
ReadingEnd read_records(const config::Server& server, const WalChain& chain, std::size_t first,
                        const WalIdentity& identity, const wal::RecordKinds& keep, const wal::RecordHandler& handler);

// handler gets the whole records of the kinds to keep.
wal::SegmentChecker checker_for(const WalChain& chain, const WalPiece& piece, const WalIdentity& identity,
                                std::function<void(const wal::RecordView&)> handler = {},
                                const wal::RecordKinds& keep = {});

// The bytes of one piece, at most the size of a segment and cut where it must be. Looks again where the file lies when
// it is gone. sink returns false to end.
void read_piece(const config::Server& server, const WalChain& chain, const WalPiece& piece,
                const std::function<bool(ByteSpan)>& sink);

}  // namespace coffer::restore
