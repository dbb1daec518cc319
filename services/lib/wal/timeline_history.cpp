#include "lib/wal/timeline_history.h"

#include <charconv>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::wal {
namespace {

constexpr std::string_view blanks = " \t\r\f\v";

// Takes the next word off the line.
std::string_view next_word(std::string_view& line) noexcept {
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    return word;
}

[[noreturn]] void refuse(const std::string& what, std::size_t line, std::string_view where) {
    throw Error(ErrorCode::corrupt, fmt::format("timeline history: {} in line {}", what, line), std::string(where),
                "fetch the file again from the server's pg_wal");
}

TimelineSwitch parse_line(std::string_view line, std::size_t number, std::string_view where) {
    TimelineSwitch result;
    const std::string_view timeline = next_word(line);
    const auto [end, error] = std::from_chars(timeline.data(), timeline.data() + timeline.size(), result.timeline);
    if (error != std::errc{} || end != timeline.data() + timeline.size() || result.timeline == 0) {
        refuse("no timeline", number, where);
    }
    const auto lsn = Lsn::parse(next_word(line));
    if (!lsn) refuse("no position", number, where);
    result.at = *lsn;
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    result.reason = line.substr(0, line.find_last_not_of(blanks) + 1);
    return result;
}

}  // namespace

TimelineHistory TimelineHistory::parse(std::string_view text, TimelineId timeline, std::string_view where) {
    TimelineHistory history{timeline, {}};
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const std::size_t begin = line.find_first_not_of(blanks);
        if (begin == std::string_view::npos || line[begin] == '#') continue;
        TimelineSwitch entry = parse_line(line, number, where);
        if (!history.ancestors.empty()) {
            if (entry.timeline <= history.ancestors.back().timeline) refuse("timelines do not rise", number, where);
            if (entry.at < history.ancestors.back().at) refuse("positions do not rise", number, where);
        }
        if (entry.timeline >= timeline) refuse("an ancestor is no older than the timeline itself", number, where);
        history.ancestors.push_back(std::move(entry));
    }
    return history;
}

std::string TimelineHistory::format() const {
    std::string text;
    for (const TimelineSwitch& entry : ancestors) {
        text +=
            fmt::format("{}{}\t{}\t{}\n", text.empty() ? "" : "\n", entry.timeline, entry.at.to_string(), entry.reason);
    }
    return text;
}

TimelinePath::TimelinePath(TimelineId target) : parts_{{target, Lsn{}, std::nullopt}} {}

TimelinePath::TimelinePath(const TimelineHistory& history) {
    Lsn begin;
    for (const TimelineSwitch& entry : history.ancestors) {
        parts_.push_back({entry.timeline, begin, entry.at});
        begin = entry.at;
    }
    parts_.push_back({history.timeline, begin, std::nullopt});
}

TimelinePath TimelinePath::to(TimelineId target, const HistoryReader& reader) {
    const auto text = reader(target);
    if (text) return TimelinePath(TimelineHistory::parse(*text, target, history_name(target)));
    if (target == 1) return TimelinePath(target);
    throw Error(ErrorCode::no_such_wal, fmt::format("the history of timeline {} is not here", target),
                history_name(target), "choose another timeline, or put the file into the incoming directory");
}

TimelineId TimelinePath::timeline_at(Lsn lsn) const noexcept {
    for (const PathPart& part : parts_) {
        if (!part.end || lsn < *part.end) return part.timeline;
    }
    return target();
}

bool TimelinePath::contains(TimelineId timeline, Lsn lsn) const noexcept {
    for (const PathPart& part : parts_) {
        if (part.timeline == timeline) return !part.end || lsn <= *part.end;
    }
    return false;
}

std::optional<Lsn> TimelinePath::switch_from(TimelineId timeline) const noexcept {
    for (const PathPart& part : parts_) {
        if (part.timeline == timeline) return part.end;
    }
    return std::nullopt;
}

std::vector<TimelineId> TimelinePath::candidates(std::uint64_t segment_number, SegmentSize size) const {
    std::vector<TimelineId> result;
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
        if (part->begin.value / size.bytes() > segment_number) continue;
        // Where the path left the timeline before the segment, a file of it is of a history that was given up.
        if (part->end && part->end->value <= segment_number * size.bytes()) break;
        result.push_back(part->timeline);
    }
    return result;
}

}  // namespace coffer::wal
