#include "lib/wal/admission.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "lib/wal/little_endian.h"
#include "lib/wal/page_walker.h"

namespace coffer::wal {
namespace {

constexpr std::size_t largest_text = 1 << 20;  // a history of 10,000 timelines

std::string_view text_of(ByteSpan bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Does the server say in this segment that this timeline began? It does so by the first record of each: a checkpoint or
// an end of recovery (PostgreSQL pg_control.h, xlog_internal.h), both with the timeline behind 8 bytes.
bool begins_timeline(ByteSpan plain, const Expected& expected) {
    constexpr std::uint8_t shutdown = 0x00, online = 0x10, end_of_recovery = 0x90;
    constexpr std::size_t page_size = 8192;
    bool begins = false;
    const auto look = [&](const RecordView& record) {
        const std::uint8_t kind = record.info & 0xF0;
        if (record.rmid != rm_xlog || (kind != shutdown && kind != online && kind != end_of_recovery)) return true;
        const auto data = record.main_data();
        begins = data && data->size() >= 12 && load32(*data, 8) == expected.segment.timeline;
        return !begins;
    };
    PageWalker walker(look, RecordKinds().set(rm_xlog));
    const Lsn begin = expected.segment.begin(expected.size);
    for (std::size_t at = 0; at < plain.size() && walker.stop() == PageWalker::Stop::none; at += page_size) {
        walker.page(plain.subspan(at, std::min(page_size, plain.size() - at)), expected, begin + at);
    }
    return begins;
}

std::optional<std::string> refuse_segment(std::string_view name, ByteSpan plain, const KnownSystem& known,
                                          bool unfinished_allowed) {
    const std::optional<SegmentIdentity> identity = identify_segment(plain);
    if (!identity) return "does not begin as a WAL segment does";
    if (known.segment_size && identity->size != *known.segment_size) {
        return fmt::format("is of a cluster with segments of {} bytes, not {}", identity->size.bytes(),
                           known.segment_size->bytes());
    }
    if (plain.size() != identity->size.bytes()) {
        return fmt::format("has {} bytes instead of {}", plain.size(), identity->size.bytes());
    }
    const std::optional<Segment> segment = Segment::parse(name.substr(0, 24), identity->size);
    if (!segment)
        return fmt::format("has a name that does not exist with segments of {} bytes", identity->size.bytes());

    const Expected expected{*segment, identity->size, known.system_identifier, known.major_version};
    const SegmentCheck check = check_segment(plain, expected, unfinished_allowed);
    if (check.damage) return fmt::format("is bad at {}: {}", check.damage->at.to_string(), check.damage->what);
    if (!check.complete && !unfinished_allowed) {
        return fmt::format("ends at {}, before the end of the segment", check.valid_end.to_string());
    }
    // A segment may begin with pages of the timeline that its own came from. It ends with such a page only when its
    // timeline began and the segment was switched within that page: the header of the page in which a timeline begins
    // stays the old one's.
    if (!unfinished_allowed && check.timeline != segment->timeline && !begins_timeline(plain, expected)) {
        return fmt::format("is WAL of timeline {}", check.timeline);
    }
    return std::nullopt;
}

// "parent <tab> LSN <tab> reason", parents ascending and below the file's own timeline (PostgreSQL timeline.c).
std::optional<std::string> refuse_history(std::string_view name, std::string_view text) {
    std::uint32_t own = 0;
    std::from_chars(name.data(), name.data() + 8, own, 16);
    std::uint32_t previous = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string_view::npos || line[first] == '#') continue;
        line.remove_prefix(first);
        std::uint32_t parent = 0;
        const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), parent);
        line.remove_prefix(static_cast<std::size_t>(rest - line.data()));
        const std::size_t lsn = line.find_first_not_of(" \t");
        if (error != std::errc() || lsn == 0 || lsn == std::string_view::npos) return "is no timeline history";
        line.remove_prefix(lsn);
        if (!Lsn::parse(line.substr(0, line.find_first_of(" \t\r")))) return "names no LSN for a timeline";
        if (parent <= previous || parent >= own) return fmt::format("names timeline {} out of order", parent);
        previous = parent;
    }
    if (previous == 0) return "names no parent timeline";
    return std::nullopt;
}

std::optional<std::string> refuse_label(std::string_view text) {
    if (!text.starts_with("START WAL LOCATION: ")) return "is no backup label";
    return std::nullopt;
}

}  // namespace

std::optional<std::string> refusal_of(std::string_view name, ByteSpan plain, const KnownSystem& known) {
    const FileKind kind = kind_of(name);
    if (kind == FileKind::unknown || kind == FileKind::temporary) return "has a name that no WAL file has";
    if (plain.empty()) return "is empty";
    switch (kind) {
        case FileKind::segment:
            return refuse_segment(name, plain, known, false);
        case FileKind::partial:
            return refuse_segment(name, plain, known, true);
        default:
            break;
    }
    if (plain.size() > largest_text) return "is too large for its kind";
    if (kind == FileKind::history) return refuse_history(name, text_of(plain));
    return refuse_label(text_of(plain));
}

}  // namespace coffer::wal
