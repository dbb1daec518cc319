#include "services/job/scrub_pass.h"

#include <poll.h>

#include <algorithm>
#include <climits>

namespace coffer::job {
namespace {

constexpr std::chrono::seconds between_saves{10};
// An interrupted run that was to prove everything is gone on with until then.
constexpr std::chrono::hours interrupted_lately{24};

pace::Throttle::Pause pause_until_stop(int stop_fd) {
    return [stop_fd](std::chrono::microseconds wait) {
        pollfd stop{stop_fd, POLLIN, 0};
        const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
        (void)::poll(&stop, stop_fd < 0 ? 0 : 1, static_cast<int>(std::min<std::int64_t>(milliseconds, INT_MAX)));
        check_stop(stop_fd);
    };
}

}  // namespace

ScrubPass::ScrubPass(const config::Server& which, const ScrubOrder& wanted, ProgressReporter& reporter, int stop,
                     const Clock& time)
    : server(which),
      order(wanted),
      progress(reporter),
      stop_fd(stop),
      clock(time),
      catalogue(which),
      begun(time.now()),
      state(scrub::read_state(which)),
      mender(which, stop),
      throttle_(wanted.rate, time, pause_until_stop(stop)),
      saved_(time.monotonic()) {
    const bool goes_on = state.all_begun && begun - state.saved_at < interrupted_lately;
    wanted_since = goes_on ? *state.all_begun : begun;
    if (order.all) state.all_begun = wanted_since;
}

void ScrubPass::read(std::size_t bytes) {
    check_stop(stop_fd);
    report.bytes_read += bytes;
    progress.advance(report.bytes_read);
    throttle_.took(bytes);
}

void ScrubPass::note_progress() {
    if (clock.monotonic() - saved_ >= between_saves) save();
}

void ScrubPass::save() {
    scrub::save_state(server, state, clock.now());
    kill_point("job.scrub.saved");
    saved_ = clock.monotonic();
}

}  // namespace coffer::job
