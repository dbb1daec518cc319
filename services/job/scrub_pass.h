#pragma once
// What the two halves of a scrub (images, WAL) share: the budget of this run, reading at a limited rate, what is known
// between runs, and what was found. One thread.
#include <functional>
#include <optional>

#include "lib/catalogue/catalogue.h"
#include "lib/pace/throttle.h"
#include "lib/scrub/state.h"
#include "services/job/progress.h"
#include "services/job/scrub_report.h"
#include "services/job/wal_mender.h"

namespace coffer::job {

struct ScrubOrder {
    bool all = false;     // prove everything now
    bool cached = false;  // believe what the page cache has
    std::uint64_t rate = 0;
};

class ScrubPass {
  public:
    ScrubPass(const config::Server& server, const ScrubOrder& order, ProgressReporter& progress, int stop_fd,
              const Clock& clock);

    // Bytes that are read now. Throws canceled.
    void read(std::size_t bytes);
    // Bytes at rest that are proven by now, read or not.
    void proven(std::uint64_t bytes) { report.bytes += bytes; }
    // Of things that are not due: has this run done its share?
    [[nodiscard]] bool share_done() const noexcept { return report.bytes >= report.share; }
    // To be called often: makes what was proven durable, now and then.
    void note_progress();
    void save();

    const config::Server& server;
    const ScrubOrder order;
    ProgressReporter& progress;
    const int stop_fd;
    const Clock& clock;
    const catalogue::Catalogue catalogue;
    const WallTime begun;
    scrub::State state;
    ScrubReport report;
    WalMender mender;
    // With order.all: what was proven since then need not be proven again.
    WallTime wanted_since;

  private:
    pace::Throttle throttle_;
    MonotonicTime saved_;
};

}  // namespace coffer::job
