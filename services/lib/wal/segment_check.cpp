#include "lib/wal/segment_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/wal/page_walker.h"
#include "lib/wal/pages.h"

namespace coffer::wal {

struct SegmentChecker::State {
    State(const Expected& what, bool allowed, RecordHandler handler, const RecordKinds& keep)
        : expected(what), unfinished_allowed(allowed), walker(std::move(handler), keep) {}

    void page(ByteSpan bytes) {
        const Lsn address = expected.segment.begin(expected.size) + taken;
        taken += bytes.size();
        if (address < expected.segment.end(expected.size)) walker.page(bytes, expected, address);
    }

    Expected expected;
    bool unfinished_allowed;
    PageWalker walker;
    Pages pages{[this](ByteSpan page_bytes) { page(page_bytes); }};
    std::uint64_t taken = 0;
};

SegmentChecker::SegmentChecker(const Expected& expected, bool unfinished_allowed)
    : state_(std::make_unique<State>(expected, unfinished_allowed, RecordHandler(), RecordKinds())) {}
SegmentChecker::SegmentChecker(const Expected& expected, bool unfinished_allowed,
                               std::function<void(const RecordView&)> handler, const std::bitset<256>& keep)
    : state_(std::make_unique<State>(
          expected, unfinished_allowed,
          [handler = std::move(handler), keep](const RecordView& record) {
              if (keep[record.rmid]) handler(record);
              return true;
          },
          keep)) {}
SegmentChecker::SegmentChecker(SegmentChecker&&) noexcept = default;
SegmentChecker::~SegmentChecker() = default;

void SegmentChecker::add(ByteSpan bytes) {
    state_->pages.add(bytes);
}

SegmentCheck SegmentChecker::result() {
    state_->pages.flush();
    const Expected& expected = state_->expected;
    const PageWalker& walker = state_->walker;
    const Lsn begin = expected.segment.begin(expected.size);
    const Lsn end = expected.segment.end(expected.size);
    using Stop = PageWalker::Stop;

    SegmentCheck check;
    check.valid_end = std::max(begin, walker.valid_end());
    check.timeline = walker.timeline();
    check.rest_size = walker.rest().size;
    check.rest_crc = walker.rest().crc32c;
    check.rest_ends = walker.rest().ends;
    check.complete = walker.stop() == Stop::none && state_->taken == expected.size.bytes();
    if (check.complete) {
        if (walker.in_padding()) check.valid_end = end;
        const ByteSpan open = walker.open_header();
        check.open_header.assign(open.begin(), open.end());
        check.open_crc = walker.open_crc();
        check.open_remaining = walker.open_remaining();
        return check;
    }
    Damage reason = walker.stopped_at();
    if (walker.stop() == Stop::none) {
        reason = state_->taken < expected.size.bytes()
                     ? Damage{begin + state_->taken, fmt::format("the segment is {} bytes long instead of {}",
                                                                 state_->taken, expected.size.bytes())}
                     : Damage{end, "the file is longer than a segment"};
    }
    check.end_reason = reason.what;
    // In an unfinished segment all else is what lies behind the end: nothing yet, half a record, or an older use of the
    // file.
    const bool bad_front = walker.stop() == Stop::damage && reason.at == begin;
    if (!state_->unfinished_allowed || bad_front || state_->taken > expected.size.bytes())
        check.damage = std::move(reason);
    return check;
}

SegmentCheck check_segment(ByteSpan data, const Expected& expected, bool unfinished_allowed) {
    SegmentChecker checker(expected, unfinished_allowed);
    checker.add(data);
    return checker.result();
}

std::optional<SegmentIdentity> identify_segment(ByteSpan data) {
    const auto header = read_page_header(data);
    if (!header || !header->has(PageHeader::long_header) || (header->magic & 0xFF00) != 0xD100) return std::nullopt;
    const auto size = SegmentSize::from_bytes(header->segment_size);
    if (!size || header->address.value % size->bytes() != 0) return std::nullopt;
    return SegmentIdentity{header->magic,   header->timeline,
                           header->address, header->system_identifier,
                           *size,           major_version_of(header->magic)};
}

}  // namespace coffer::wal
