#include "streamer/timeline_path.h"

#include <charconv>

#include "lib/base/error.h"

namespace coffer::streamer {
namespace {

std::string_view next_word(std::string_view& line) {
    const std::size_t begin = std::min(line.find_first_not_of(" \t\r"), line.size());
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(end);
    return word;
}

std::optional<TimelinePath::Step> parse_line(std::string_view line) {
    const std::string_view timeline = next_word(line);
    if (timeline.empty() || timeline.front() == '#') return std::nullopt;
    TimelinePath::Step step;
    const auto [end, error] = std::from_chars(timeline.data(), timeline.data() + timeline.size(), step.timeline);
    step.end = Lsn::parse(next_word(line));
    if (error != std::errc{} || end != timeline.data() + timeline.size() || !step.end) {
        throw Error(ErrorCode::corrupt, "timeline history has a line that is none");
    }
    return step;
}

}  // namespace

TimelinePath::TimelinePath(TimelineId present, std::string_view history) {
    while (!history.empty()) {
        const std::size_t newline = std::min(history.find('\n'), history.size());
        if (const auto step = parse_line(history.substr(0, newline))) {
            const bool ascends =
                steps_.empty() || (steps_.back().timeline < step->timeline && steps_.back().end <= step->end);
            if (!ascends || step->timeline >= present)
                throw Error(ErrorCode::corrupt, "timeline history is out of order");
            steps_.push_back(*step);
        }
        history.remove_prefix(std::min(newline + 1, history.size()));
    }
    steps_.push_back({present, std::nullopt});
}

TimelineId TimelinePath::timeline_at(Lsn lsn) const noexcept {
    for (const Step& step : steps_) {
        if (!step.end || lsn < *step.end) return step.timeline;
    }
    return present();
}

}  // namespace coffer::streamer
