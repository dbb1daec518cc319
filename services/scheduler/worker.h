#pragma once
// One running coffer-job: a plain child process with its description in RUNTIME_DIR/jobs/ID/spec.json, removed at its
// end. The runtime directory does not outlive a power cut, so nothing here is synced. Loop thread only.
#include <functional>
#include <string>

#include "lib/base/files.h"
#include "lib/event/event_loop.h"

namespace coffer::scheduler {

struct WorkerEnd {
    int exit_status = 0;
    int signal_number = 0;  // 0: it ended by itself
};

class Worker {
  public:
    // Starts it, or throws. directory is made for it alone; ended is called once, from the loop,
    // and destroys the worker.
    Worker(EventLoop& loop, const Path& program, Path directory, const std::string& spec,
           std::function<void(const WorkerEnd&)> ended);
    // Does not end the process: who goes away leaves a backup that was begun to its own end.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void send_signal(int signal_number) noexcept;

  private:
    Path directory_;
    pid_t pid_ = -1;
    EventSource child_;
};

// coffer-job: in $COFFER_LIBEXEC, else beside this program. io if it is in neither place.
Path find_job_program();

}  // namespace coffer::scheduler
