#pragma once
// The WAL segments that a recovery reads one after another, each from the right timeline, and where they end.
//
// PostgreSQL takes a segment from the newest timeline on the path that has one of this number (and that had begun
// there); so does this. A segment of an ancestor reaches only to the point where it was left: what lies behind it there
// happened on another branch, and is cut off when the segment is placed. Pure functions over a snapshot of what is
// held.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/restore/timeline_path.h"
#include "lib/wal/holdings.h"

namespace coffer::restore {

struct WalPiece {
    wal::Segment segment;
    wal::HeldFile file;
    std::optional<std::uint64_t> keep_bytes;  // zeros behind them
    [[nodiscard]] bool partial() const noexcept;
};

struct WalChain {
    wal::SegmentSize size;
    std::vector<WalPiece> pieces;  // consecutive numbers
    // The first segment that is not there although later ones on the path are.
    std::optional<std::string> hole;
    // The name that would be next; for messages.
    std::string next;
    [[nodiscard]] Lsn begin() const noexcept { return pieces.empty() ? Lsn{} : pieces.front().segment.begin(size); }
    [[nodiscard]] Lsn end() const noexcept { return pieces.empty() ? Lsn{} : pieces.back().segment.end(size); }
    // Index of the piece that holds this byte.
    [[nodiscard]] std::optional<std::size_t> index_of(Lsn lsn) const noexcept;
};

// Asked of an unfinished file whose timeline began within it at began: does it hold all of the log up to there? One
// that does not (an interrupted pg_receivewal leaves such) would hide the end of the timeline before it.
using ReachesItsTimeline = std::function<bool(const WalPiece& piece, Lsn began)>;

// Begins with the segment that holds first. Empty when this one is not there. A file that does not reach its timeline
// is taken only where there is no other.
WalChain chain_from(const wal::Holdings& holdings, const TimelinePath& path, Lsn first,
                    const ReachesItsTimeline& reaches = {});

}  // namespace coffer::restore
