#include "lib/restore/wal_chain.h"

#include <algorithm>

#include "lib/base/reversed.h"

namespace coffer::restore {
namespace {

using wal::Holdings;
using wal::Segment;
using wal::SegmentSize;

// Could this timeline, on this path, have a segment of this number that recovery reads?
bool reads(const TimelineSpan& span, std::uint64_t number, SegmentSize size) {
    return number >= span.begin.value / size.bytes() && span.end.value > number * size.bytes();
}

std::optional<WalPiece> find_piece(const Holdings& holdings, const TimelinePath& path, std::uint64_t number,
                                   const ReachesItsTimeline& reaches) {
    const SegmentSize size = holdings.segment_size();
    std::optional<WalPiece> short_one;
    for (const TimelineSpan& span : reversed(path)) {
        const Segment segment{span.timeline, number};
        if (!reads(span, number, size)) continue;
        const auto held = holdings.segments().find(segment);
        if (held == holdings.segments().end()) continue;
        WalPiece piece{segment, held->second, std::nullopt};
        if (span.end < segment.end(size)) piece.keep_bytes = span.end.value - segment.begin(size).value;
        const bool begins_within = span.begin > segment.begin(size);
        if (!reaches || !begins_within || !piece.partial() || reaches(piece, span.begin)) return piece;
        if (!short_one) short_one = std::move(piece);
    }
    return short_one;
}

// The name that should be there: of the newest timeline that reads this number.
std::string expected_name(const TimelinePath& path, std::uint64_t number, SegmentSize size) {
    for (const TimelineSpan& span : reversed(path)) {
        if (reads(span, number, size)) return Segment{span.timeline, number}.name(size);
    }
    return {};
}

bool anything_behind(const Holdings& holdings, const TimelinePath& path, std::uint64_t number) {
    return std::any_of(path.begin(), path.end(), [&](const TimelineSpan& span) {
        auto held = holdings.segments().upper_bound(Segment{span.timeline, number});
        return held != holdings.segments().end() && held->first.timeline == span.timeline &&
               reads(span, held->first.number, holdings.segment_size());
    });
}

}  // namespace

bool WalPiece::partial() const noexcept {
    return wal::is_partial(file.place);
}

std::optional<std::size_t> WalChain::index_of(Lsn lsn) const noexcept {
    if (pieces.empty() || lsn < begin() || lsn >= end()) return std::nullopt;
    return (lsn.value - begin().value) / size.bytes();
}

WalChain chain_from(const Holdings& holdings, const TimelinePath& path, Lsn first, const ReachesItsTimeline& reaches) {
    WalChain chain;
    chain.size = holdings.segment_size();
    std::uint64_t number = first.value / chain.size.bytes();
    while (std::optional<WalPiece> piece = find_piece(holdings, path, number, reaches)) {
        const bool cut = piece->keep_bytes.has_value();
        chain.pieces.push_back(std::move(*piece));
        if (cut) break;  // the newer timeline has no segment of this number, so nothing can follow
        ++number;
    }
    const bool cut = !chain.pieces.empty() && chain.pieces.back().keep_bytes.has_value();
    chain.next = expected_name(path, number, chain.size);
    if (anything_behind(holdings, path, cut ? chain.pieces.back().segment.number : number)) chain.hole = chain.next;
    return chain;
}

}  // namespace coffer::restore
