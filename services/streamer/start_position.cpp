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

Start without_held(const StartQuestion& question, bool slot_is_good) {
    const Lsn wanted = slot_is_good && question.slot_restart ? *question.slot_restart : question.server_end;
    Start start;
    start.timeline = question.path.timeline_at(wanted);
    start.lsn = segment_begin(wanted, question.size);
    return start;
}

}  // namespace

Start decide_start(const StartQuestion& question) {
    const auto step = newest_held(question);
    const bool slot_is_good = question.removed != Removed::behind_slot;
    if (step == question.path.steps().end()) {
        Start start = without_held(question, slot_is_good);
        if (!question.held.empty()) start.diverged = question.held.rbegin()->second;
        return start;
    }

    const Lsn held = question.held.at(step->timeline);
    if (question.removed != Removed::nothing) {
        Start start = without_held(question, slot_is_good);
        if (start.lsn > held) start.gap = wal::WalGap{step->timeline, held, start.lsn};
        return start;
    }

    Start start;
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

}  // namespace coffer::streamer
