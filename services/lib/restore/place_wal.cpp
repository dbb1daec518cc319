#include <fcntl.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/restore/execute.h"
#include "lib/restore/new_tablespaces.h"
#include "lib/wal/codec.h"
#include "lib/wal/page_header.h"

namespace coffer::restore {
namespace {

constexpr std::uint64_t largest_history = 1ULL << 20;

// PostgreSQL would hand files without this mark to archive_command.
void mark_archived(const Path& pg_wal, const std::string& name, const CopyControl& control) {
    create_file(pg_wal / "archive_status" / (name + ".done"), control.owner);
}

// A segment behind which recovery goes on must reach to its end, and be what it says; the last one to where recovery
// ends. sink gets its bytes. Returns
// the header of the record that goes on in the next piece, as far as it lies in this one.
std::vector<std::byte> prove_piece(const Plan& plan, const config::Server& server, std::size_t index,
                                   const CopyControl& control, NewTablespaces& tablespaces,
                                   const std::function<void(ByteSpan)>& sink) {
    const WalPiece& piece = plan.chain.pieces[index];
    wal::SegmentChecker checker = checker_for(
        plan.chain, piece, plan.identity, [&](const wal::RecordView& record) { tablespaces.take(record); },
        tablespace_kinds());
    read_piece(server, plan.chain, piece, [&](ByteSpan bytes) {
        check_canceled(control);
        checker.add(bytes);
        sink(bytes);
        if (control.copied) control.copied(bytes.size());
        return true;
    });
    wal::SegmentCheck check = checker.result();
    const bool last = index + 1 == plan.chain.pieces.size();
    const bool reaches_the_end = !plan.end.end.valid() || plan.end.end <= piece.segment.begin(plan.chain.size) ||
                                 check.valid_end >= plan.end.end;
    if (check.complete || (last && reaches_the_end)) return std::move(check.open_header);
    throw Error(ErrorCode::corrupt,
                fmt::format("wal segment {} ends at {}: {}", piece.segment.name(plan.chain.size),
                            check.valid_end.to_string(), check.end_reason),
                piece.file.path.string(),
                "fetch this segment from the server (pg_wal) if it still has it; or choose a target before this LSN");
}

std::vector<std::byte> place_piece(const Plan& plan, const config::Server& server, std::size_t index,
                                   const CopyControl& control, NewTablespaces& tablespaces) {
    const std::string name = plan.chain.pieces[index].segment.name(plan.chain.size);
    const Path target = plan.destination / "pg_wal" / name;
    const UniqueFd out = create_file(target, control.owner);
    std::uint64_t offset = 0;
    auto open_header = prove_piece(plan, server, index, control, tablespaces, [&](ByteSpan bytes) {
        files().write_at(out.get(), bytes, offset, target);
        offset += bytes.size();
    });
    const std::uint64_t size = plan.chain.size.bytes();
    if (offset < size && ::ftruncate(out.get(), static_cast<off_t>(size)) != 0) {
        throw Error::from_errno(errno, "cannot set the size of file", target.string());
    }
    mark_archived(plan.destination / "pg_wal", name, control);
    return open_header;
}

// The front of a record's header lies in one piece; the rest is the first thing in the next.
void complete_header(const Plan& plan, const config::Server& server, std::size_t next, std::vector<std::byte>& header) {
    constexpr std::size_t wanted = wal::long_header_size + wal::record_header_size;
    std::vector<std::byte> front;
    read_piece(server, plan.chain, plan.chain.pieces[next], [&](ByteSpan bytes) {
        front.insert(front.end(), bytes.begin(), bytes.end());
        return front.size() < wanted;
    });
    if (front.size() < wanted) return;
    const auto rest = front.begin() + wal::long_header_size;
    header.insert(header.end(), rest, rest + static_cast<std::ptrdiff_t>(wal::record_header_size - header.size()));
}

bool is_for_tablespaces(const std::vector<std::byte>& header) {
    if (header.size() != wal::record_header_size) return false;
    wal::RawRecordHeader raw;
    std::copy(header.begin(), header.end(), raw.begin());
    return tablespace_kinds()[wal::read_record_header(raw).rmid];
}

// Each piece by itself, several at once; then the few records that lie in two.
void for_each_piece(const Plan& plan, const config::Server& server, const CopyControl& control,
                    NewTablespaces& tablespaces, const std::function<std::vector<std::byte>(std::size_t)>& one) {
    std::vector<std::vector<std::byte>> open(plan.chain.pieces.size());
    run_parallel(open.size(), control, [&](std::size_t index) { open[index] = one(index); });
    for (std::size_t index = 0; index + 1 < open.size(); ++index) {
        std::vector<std::byte>& header = open[index];
        if (!header.empty() && header.size() < wal::record_header_size) {
            complete_header(plan, server, index + 1, header);
        }
        if (!is_for_tablespaces(header)) continue;
        const Lsn end = plan.chain.pieces[index].segment.end(plan.chain.size);
        read_records(server, plan.chain, index, plan.identity, tablespace_kinds(), [&](const wal::RecordView& record) {
            check_canceled(control);
            if (record.start < end && record.end > end) tablespaces.take(record);
            return record.end <= end;
        });
    }
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
    for_each_piece(plan, server, control, tablespaces,
                   [&](std::size_t index) { return place_piece(plan, server, index, control, tablespaces); });
}

void prove_wal(const Plan& plan, const config::Server& server, const CopyControl& control,
               NewTablespaces& tablespaces) {
    for_each_piece(plan, server, control, tablespaces, [&](std::size_t index) {
        return prove_piece(plan, server, index, control, tablespaces, [](ByteSpan) {});
    });
}

}  // namespace coffer::restore
