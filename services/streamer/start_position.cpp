#include "streamer/start_position.h"

#include <algorithm>

namespace coffer::streamer {
namespace {

Lsn segment_begin(Lsn lsn, wal::SegmentSize size) {
    return Lsn{lsn.value - lsn.value % size.bytes()};
}

// The newest timeline of the server's path of which anything is held; steps().end() when there is none.
auto newest_held(const StartQuestion& question) {
    const auto& steps = question.path.steps();
    const auto found = std::find_if(steps.rbegin(), steps.rend(),
                                    [&](const auto& step) { return question.held.contains(step.timeline); });
    return found == steps.rend() ? steps.end() : std::prev(found.base());
}

Start at_segment_of(const StartQuestion& question, Lsn wanted) {
    Start start;
    start.timeline = question.path.timeline_at(wanted);
    start.lsn = segment_begin(wanted, question.size);
    return start;
}

Start without_held(const StartQuestion& question) {
    Start start = at_segment_of(question, question.slot_restart.value_or(question.server_end));
    if (question.removed && start.lsn <= *question.removed) start = at_segment_of(question, question.server_end);
    return start;
}

Start continue_held(const StartQuestion& question, std::vector<TimelinePath::Step>::const_iterator step) {
    Start start;
    const Lsn held = question.held.at(step->timeline);
    const auto newest = question.held.rbegin();
    if (newest->first > step->timeline) start.diverged = newest->second;
    if (!step->end || held < *step->end) {
        start.timeline = step->timeline;
        start.lsn = held;
        start.continues_held = true;
        start.server_behind = !step->end && held > question.server_end;
        return start;
    }
    if (held > *step->end) start.diverged = held;
    start.timeline = std::next(step)->timeline;
    start.lsn = segment_begin(*step->end, question.size);
    return start;
}

// The next position to try when the server has removed the one that follows what is held.
Start behind_removed(const StartQuestion& question, Lsn held) {
    if (question.slot_restart && segment_begin(*question.slot_restart, question.size) > *question.removed) {
        return at_segment_of(question, *question.slot_restart);
    }
    const std::uint64_t first = held.value / question.size.bytes();
    const std::uint64_t refused = std::max(first, question.removed->value / question.size.bytes());
    const Lsn wanted{(refused + (refused - first) + 1) * question.size.bytes()};
    return at_segment_of(question, std::min(wanted, question.server_end));
}

}  // namespace

Start decide_start(const StartQuestion& question) {
    const auto step = newest_held(question);
    if (step == question.path.steps().end()) {
        Start start = without_held(question);
        if (!question.held.empty()) start.diverged = question.held.rbegin()->second;
        return start;
    }
    Start start = continue_held(question, step);
    if (!question.removed || start.lsn > *question.removed) return start;

    const Lsn held = question.held.at(step->timeline);
    start = behind_removed(question, held);
    Lsn hole_end = start.lsn;
    const auto run = question.behind.find(step->timeline);
    if (run != question.behind.end() && run->second.begin <= start.lsn) {
        hole_end = run->second.begin;
        StartQuestion from_there = question;
        from_there.held[step->timeline] = run->second.end;
        from_there.behind.clear();
        start = decide_start(from_there);
    }
    if (hole_end > held) start.gap = wal::WalGap{step->timeline, held, hole_end};
    return start;
}

}  // namespace coffer::streamer
