#include "lib/restore/landmarks.h"

#include <fcntl.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/wal/page_walker.h"
#include "lib/wal/pages.h"
#include "lib/wal/transactions.h"

namespace coffer::restore {
namespace {

// Ends read_held() early; never leaves this file.
struct EnoughRead {};

wal::Expected expected_of(const WalChain& chain, const WalPiece& piece, const WalIdentity& identity) {
    wal::Expected expected;
    expected.segment = piece.segment;
    expected.size = chain.size;
    if (identity.system_identifier != 0) expected.system_identifier = identity.system_identifier;
    expected.major_version = identity.major_version;
    return expected;
}

Landmark landmark_of(const wal::RecordView& record) {
    Landmark mark;
    mark.start = record.start;
    mark.end = record.end;
    auto event = wal::event_of(record);
    if (!event) return mark;
    mark.xid = event->xid;
    mark.time = event->time;
    mark.name = std::move(event->name);
    if (event->ends_transaction()) mark.kind = Landmark::Kind::transaction_end;
    mark.committed = event->kind == wal::EventKind::commit;
    if (event->kind == wal::EventKind::restore_point) mark.kind = Landmark::Kind::restore_point;
    return mark;
}

}  // namespace

wal::SegmentChecker checker_for(const WalChain& chain, const WalPiece& piece, const WalIdentity& identity,
                                std::function<void(const wal::RecordView&)> handler, const wal::RecordKinds& keep) {
    return {expected_of(chain, piece, identity), true, std::move(handler), keep};
}

void read_piece(const config::Server& server, const WalChain& chain, const WalPiece& piece,
                const std::function<bool(ByteSpan)>& sink) {
    // What recovery is given: not more than a segment, and nothing of another branch.
    std::uint64_t left = std::min(chain.size.bytes(), piece.keep_bytes.value_or(chain.size.bytes()));
    const auto pass_on = [&](ByteSpan bytes) {
        bytes = bytes.first(std::min<std::uint64_t>(left, bytes.size()));
        left -= bytes.size();
        if (!sink(bytes) || left == 0) throw EnoughRead();
    };
    try {
        wal::read_held(server, piece.file, pass_on);
    } catch (const EnoughRead&) {
    }
}

ReadingEnd read_landmarks(const config::Server& server, const WalChain& chain, std::size_t first,
                          const WalIdentity& identity, const LandmarkHandler& handler) {
    return read_records(server, chain, first, identity, wal::event_kinds(),
                        [&](const wal::RecordView& record) { return handler(landmark_of(record)); });
}

ReadingEnd read_records(const config::Server& server, const WalChain& chain, std::size_t first,
                        const WalIdentity& identity, const wal::RecordKinds& keep, const wal::RecordHandler& handler) {
    wal::PageWalker walker(handler, keep);
    using Stop = wal::PageWalker::Stop;
    for (std::size_t i = first; i < chain.pieces.size() && walker.stop() == Stop::none; ++i) {
        const WalPiece& piece = chain.pieces[i];
        const wal::Expected expected = expected_of(chain, piece, identity);
        Lsn address = piece.segment.begin(chain.size);
        walker.end_padding();
        wal::Pages pages([&](ByteSpan page) {
            walker.page(page, expected, address);
            address = address + page.size();
        });
        read_piece(server, chain, piece, [&](ByteSpan bytes) {
            pages.add(bytes);
            return walker.stop() == Stop::none;
        });
        if (walker.stop() == Stop::none) pages.flush();
        if (address < piece.segment.end(chain.size)) break;  // a short file: the next one cannot be joined to it
    }
    ReadingEnd end;
    end.valid_end = walker.valid_end();
    end.stopped = walker.stop() == Stop::handler;
    end.reason = walker.stopped_at().what;
    return end;
}

}  // namespace coffer::restore
