#include "lib/restore/branches.h"

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::restore {
namespace {

// All that is held of this timeline, from the segment that holds first on, without a hole.
WalChain branch_from(const wal::Holdings& holdings, TimelineId timeline, Lsn first) {
    WalChain chain;
    chain.size = holdings.segment_size();
    for (wal::Segment segment = wal::Segment::containing(timeline, first, chain.size);; ++segment.number) {
        const auto held = holdings.segments().find(segment);
        if (held == holdings.segments().end()) return chain;
        chain.pieces.push_back({segment, held->second, std::nullopt});
    }
}

}  // namespace

std::vector<LeftCommit> commits_left_out(const config::Server& server, const wal::Holdings& holdings,
                                         const TimelinePath& path, const WalIdentity& identity,
                                         const std::function<bool()>& canceled) {
    std::vector<LeftCommit> left;
    for (const TimelineSpan& span : path) {
        if (span.end == no_end) continue;
        const WalChain branch = branch_from(holdings, span.timeline, span.end);
        if (branch.pieces.empty()) continue;
        read_landmarks(server, branch, 0, identity, [&](const Landmark& mark) {
            if (canceled && canceled()) throw Error(ErrorCode::canceled, "the restore was canceled");
            if (mark.start < span.end || mark.kind != Landmark::Kind::transaction_end || !mark.committed) return true;
            left.push_back({span.timeline, span.end, mark});
            return false;
        });
    }
    return left;
}

std::string describe(const LeftCommit& left) {
    return fmt::format(
        "timeline {} was left at {}, and commits behind that are held which this recovery does not bring back (the "
        "first: transaction {} of {}); --target-tli {} recovers them, and what came later is left out instead",
        left.timeline, left.left_at.to_string(), left.first.xid, format_utc(left.first.time), left.timeline);
}

}  // namespace coffer::restore
