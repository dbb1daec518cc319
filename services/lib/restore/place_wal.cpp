#include <fcntl.h>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/restore/execute.h"
#include "lib/restore/new_tablespaces.h"
#include "lib/wal/codec.h"

namespace coffer::restore {
namespace {

constexpr std::uint64_t largest_history = 1ULL << 20;

// PostgreSQL would hand files without this mark to archive_command.
void mark_archived(const Path& pg_wal, const std::string& name, const CopyControl& control) {
    create_file(pg_wal / "archive_status" / (name + ".done"), control.owner);
}

// A segment behind which recovery goes on must reach to its end, and be what it says. sink gets its bytes.
void prove_piece(const Plan& plan, const config::Server& server, std::size_t index, const CopyControl& control,
                 NewTablespaces& tablespaces, const std::function<void(ByteSpan)>& sink) {
    const WalPiece& piece = plan.chain.pieces[index];
    wal::RecordKinds keep;
    keep.set(wal::rm_tablespace);
    wal::SegmentChecker checker = checker_for(
        plan.chain, piece, plan.identity, [&](const wal::RecordView& record) { tablespaces.take(record); }, keep);
    read_piece(server, plan.chain, piece, [&](ByteSpan bytes) {
        check_canceled(control);
        checker.add(bytes);
        sink(bytes);
        if (control.copied) control.copied(bytes.size());
        return true;
    });
    const wal::SegmentCheck check = checker.result();
    if (check.complete || index + 1 == plan.chain.pieces.size()) return;
    throw Error(ErrorCode::corrupt,
                fmt::format("wal segment {} ends at {}: {}", piece.segment.name(plan.chain.size),
                            check.valid_end.to_string(), check.end_reason),
                piece.file.path.string(),
                "fetch this segment from the server (pg_wal) if it still has it; or choose a target before this LSN");
}

void place_piece(const Plan& plan, const config::Server& server, std::size_t index, const CopyControl& control,
                 NewTablespaces& tablespaces) {
    const std::string name = plan.chain.pieces[index].segment.name(plan.chain.size);
    const Path target = plan.destination / "pg_wal" / name;
    const UniqueFd out = create_file(target, control.owner);
    std::uint64_t offset = 0;
    prove_piece(plan, server, index, control, tablespaces, [&](ByteSpan bytes) {
        files().write_at(out.get(), bytes, offset, target);
        offset += bytes.size();
    });
    const std::uint64_t size = plan.chain.size.bytes();
    if (offset < size && ::ftruncate(out.get(), static_cast<off_t>(size)) != 0) {
        throw Error::from_errno(errno, "cannot set the size of file", target.string());
    }
    mark_archived(plan.destination / "pg_wal", name, control);
}

}  // namespace

void place_wal(const Plan& plan, const config::Server& server, const CopyControl& control,
               NewTablespaces& tablespaces) {
    const Path pg_wal = plan.destination / "pg_wal";
    for (const wal::HeldFile& history : plan.histories) {
        const Path target = pg_wal / history.name;
        const std::string text = wal::decompress_file(history.path, largest_history);
        files().append(create_file(target, control.owner).get(), as_byte_span(text), target);
        mark_archived(pg_wal, history.name, control);
    }
    run_parallel(plan.chain.pieces.size(), control,
                 [&](std::size_t index) { place_piece(plan, server, index, control, tablespaces); });
}

void prove_wal(const Plan& plan, const config::Server& server, const CopyControl& control,
               NewTablespaces& tablespaces) {
    run_parallel(plan.chain.pieces.size(), control,
                 [&](std::size_t index) { prove_piece(plan, server, index, control, tablespaces, [](ByteSpan) {}); });
}

}  // namespace coffer::restore
