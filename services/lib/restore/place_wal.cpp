#include <fcntl.h>

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/crc32c_combine.h"
#include "lib/base/error.h"
#include "lib/restore/execute.h"
#include "lib/restore/new_tablespaces.h"
#include "lib/wal/codec.h"
#include "lib/wal/page_header.h"
#include "lib/wal/proof.h"

namespace coffer::restore {
namespace {

constexpr std::uint64_t largest_history = 1ULL << 20;
constexpr const char* fetch_again =
    "fetch this segment from the server (pg_wal) if it still has it; or choose a target before this LSN";

// PostgreSQL would hand files without this mark to archive_command.
void mark_archived(const Path& pg_wal, const std::string& name, const CopyControl& control) {
    create_file(pg_wal / "archive_status" / (name + ".done"), control.owner);
}

// A segment behind which recovery goes on must reach to its end, and be what it says; the last one to where recovery
// ends. What the archiver had proven must be the same still. sink gets its bytes.
wal::SegmentCheck prove_piece(const Plan& plan, const config::Server& server, std::size_t index,
                              const CopyControl& control, NewTablespaces& tablespaces,
                              const std::function<void(ByteSpan)>& sink) {
    const WalPiece& piece = plan.chain.pieces[index];
    wal::SegmentChecker checker = checker_for(
        plan.chain, piece, plan.identity, [&](const wal::RecordView& record) { tablespaces.take(record); },
        tablespace_kinds());
    wal::Proof found;
    read_piece(server, plan.chain, piece, [&](ByteSpan bytes) {
        check_canceled(control);
        checker.add(bytes);
        found = {crc32c(bytes, found.crc32c), found.size + bytes.size()};
        sink(bytes);
        if (control.copied) control.copied(bytes.size());
        return true;
    });
    wal::SegmentCheck check = checker.result();
    const bool last = index + 1 == plan.chain.pieces.size();
    const bool reaches_the_end = !plan.end.end.valid() || plan.end.end <= piece.segment.begin(plan.chain.size) ||
                                 check.valid_end >= plan.end.end;
    const auto proof = wal::kept_proof(piece.file.path);
    if (proof && found.size == proof->size && found.crc32c != proof->crc32c) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("wal segment {} is damaged: its content is not what was archived",
                                piece.segment.name(plan.chain.size)),
                    piece.file.path.string(), fetch_again);
    }
    if (check.complete || (last && reaches_the_end)) return check;
    throw Error(ErrorCode::corrupt,
                fmt::format("wal segment {} ends at {}: {}", piece.segment.name(plan.chain.size),
                            check.valid_end.to_string(), check.end_reason),
                piece.file.path.string(), fetch_again);
}

wal::SegmentCheck place_piece(const Plan& plan, const config::Server& server, const Path& pg_wal, std::size_t index,
                              const CopyControl& control, NewTablespaces& tablespaces) {
    const std::string name = plan.chain.pieces[index].segment.name(plan.chain.size);
    const Path target = pg_wal / name;
    const UniqueFd out = create_file(target, control.owner);
    std::uint64_t offset = 0;
    wal::SegmentCheck check = prove_piece(plan, server, index, control, tablespaces, [&](ByteSpan bytes) {
        files().write_at(out.get(), bytes, offset, target);
        offset += bytes.size();
    });
    const std::uint64_t size = plan.chain.size.bytes();
    if (offset < size && ::ftruncate(out.get(), static_cast<off_t>(size)) != 0) {
        throw Error::from_errno(errno, "cannot set the size of file", target.string());
    }
    mark_archived(pg_wal, name, control);
    return check;
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

// The record that goes on in the next pieces.
struct OpenRecord {
    Lsn start;
    std::vector<std::byte> header;
    std::uint32_t crc = 0;
    std::uint64_t remaining = 0;
};

// With all of its parts.
bool is_whole(const OpenRecord& record) {
    wal::RawRecordHeader raw;
    std::copy(record.header.begin(), record.header.end(), raw.begin());
    const std::uint32_t expected = wal::read_record_header(raw).crc;
    return record.remaining == 0 &&
           crc32c(ByteSpan(record.header).first(wal::record_header_size - sizeof expected), record.crc) == expected;
}

// The header itself lies in two pieces: its rest is the first thing in the next one, and not of what the checksum there
// should count. False when the record has nothing else, or the next piece does not go on with it.
bool complete_split_header(const Plan& plan, const config::Server& server, std::size_t index,
                           std::vector<wal::SegmentCheck>& checks) {
    wal::SegmentCheck& check = checks[index];
    wal::SegmentCheck& next = checks[index + 1];
    const std::size_t missing = wal::record_header_size - check.open_header.size();
    complete_header(plan, server, index + 1, check.open_header);
    if (check.open_header.size() < wal::record_header_size || next.rest_size <= missing) return false;
    next.rest_size -= missing;
    next.rest_crc ^= crc32c_joined(crc32c(ByteSpan(check.open_header).last(missing)), 0, next.rest_size);
    check.open_remaining -= static_cast<std::uint32_t>(missing);
    check.open_crc = 0;
    return true;
}

// Records that lie in several pieces, each of which was read by itself: are they whole? One that recovery does not come
// to may be anything; so may one that the server gave up in a crash.
void prove_records_between(const Plan& plan, const config::Server& server, std::vector<wal::SegmentCheck>& checks) {
    std::optional<OpenRecord> open;
    for (std::size_t index = 0; index < checks.size(); ++index) {
        wal::SegmentCheck& check = checks[index];
        if (open && check.rest_size == 0) open.reset();
        if (open) {
            open->crc = crc32c_joined(open->crc, check.rest_crc, check.rest_size);
            open->remaining -= std::min(open->remaining, check.rest_size);
            const bool reached = !plan.end.end.valid() || open->start < plan.end.end;
            if (check.rest_ends && reached && !is_whole(*open)) {
                const WalPiece& piece = plan.chain.pieces[index];
                throw Error(ErrorCode::corrupt,
                            fmt::format("the record at {} is damaged: it lies in wal segment {} and those before",
                                        open->start.to_string(), piece.segment.name(plan.chain.size)),
                            piece.file.path.string(), fetch_again);
            }
            if (check.rest_ends) open.reset();
        }
        if (check.open_remaining == 0) continue;
        if (check.open_header.size() < wal::record_header_size) {
            if (index + 1 == checks.size() || !complete_split_header(plan, server, index, checks)) continue;
        }
        open = OpenRecord{check.valid_end, check.open_header, check.open_crc, check.open_remaining};
    }
}

// Each piece by itself, several at once; then the few records that lie in two.
void for_each_piece(const Plan& plan, const config::Server& server, const CopyControl& control,
                    NewTablespaces& tablespaces, const std::function<wal::SegmentCheck(std::size_t)>& one) {
    std::vector<wal::SegmentCheck> checks(plan.chain.pieces.size());
    run_parallel(checks.size(), control, [&](std::size_t index) { checks[index] = one(index); });
    prove_records_between(plan, server, checks);
    for (std::size_t index = 0; index + 1 < checks.size(); ++index) {
        if (!is_for_tablespaces(checks[index].open_header)) continue;
        const Lsn end = plan.chain.pieces[index].segment.end(plan.chain.size);
        read_records(server, plan.chain, index, plan.identity, tablespace_kinds(), [&](const wal::RecordView& record) {
            check_canceled(control);
            if (record.start < end && record.end > end) tablespaces.take(record);
            return record.end <= end;
        });
    }
}

}  // namespace

void place_wal(const Plan& plan, const config::Server& server, const Path& pg_wal, const CopyControl& control,
               NewTablespaces& tablespaces) {
    for (const wal::HeldFile& history : plan.histories) {
        const Path target = pg_wal / history.name;
        const std::string text = wal::decompress_file(history.path, largest_history);
        files().append(create_file(target, control.owner).get(), as_byte_span(text), target);
        mark_archived(pg_wal, history.name, control);
    }
    for_each_piece(plan, server, control, tablespaces,
                   [&](std::size_t index) { return place_piece(plan, server, pg_wal, index, control, tablespaces); });
}

void prove_wal(const Plan& plan, const config::Server& server, const CopyControl& control,
               NewTablespaces& tablespaces) {
    for_each_piece(plan, server, control, tablespaces, [&](std::size_t index) {
        return prove_piece(plan, server, index, control, tablespaces, [](ByteSpan) {});
    });
}

}  // namespace coffer::restore
