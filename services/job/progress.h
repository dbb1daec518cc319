#pragma once
// Tells how a job gets on: to the scheduler by datagrams, or to people on standard error.
//
// One JSON object per datagram on an AF_UNIX SOCK_DGRAM socket, at most four a second, and one for each change of phase
// and for the end: {"job":"1","phase":"copy","done":123,"total":456,"message":"…"}; the last one is
// {"job":"1","result":"done","backup_id":"…"} (with "warning" where there is one) or
// {"job":"1","result":"failed","error":
// {"name":"org.pgcoffer.Error.NoSpace","what":"…","where":"…","remedy":"…"}}. Without a socket: a bar on a terminal,
// plain lines elsewhere. A listener that is missing or slow never stops a job. Thread-safe; nothing here throws.
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "services/job/request.h"

namespace coffer::job {

class ProgressReporter {
  public:
    // clock must outlive it.
    ProgressReporter(std::string job_id, const Path& socket, const Clock& clock) noexcept;
    ~ProgressReporter();
    ProgressReporter(const ProgressReporter&) = delete;
    ProgressReporter& operator=(const ProgressReporter&) = delete;

    // A new part of the work ("copy", "sync", "wait"); total in bytes, 0 where it is not known.
    void phase(std::string_view name, std::string_view message, std::uint64_t total = 0) noexcept;
    // Bytes done in this phase. Cheap: may be called for every block.
    void advance(std::uint64_t done) noexcept;
    void set_total(std::uint64_t total) noexcept;
    // Ends the line of the bar: to be called before anything else is written where people look.
    void end_line() noexcept;
    void done(const JobResult& result) noexcept;
    void failed(const Error& error) noexcept;

  private:
    void report() noexcept;
    void send(const std::string& text, bool must_arrive) noexcept;
    void draw_bar() noexcept;
    void end_bar() noexcept;

    const Clock& clock_;
    std::string job_id_;
    UniqueFd socket_;
    bool terminal_ = false;
    bool bar_drawn_ = false;
    std::mutex mutex_;
    std::string phase_;
    std::string message_;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
    MonotonicTime phase_began_{};
    MonotonicTime last_report_{};
};

}  // namespace coffer::job
