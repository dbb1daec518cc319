#pragma once
// The scheduler without the bus: takes requests, starts jobs within the limits, follows them, and tells an observer of
// each change. Loop thread only.
//
// Jobs are plain children, also under systemd. When the scheduler is stopped it cancels them and waits; when it
// crashes, systemd ends them with it (KillMode=control-group), and elsewhere they run on to their own end: each job
// keeps the catalogue right by itself, and a backup takes the lock of its server.
#include <functional>
#include <map>
#include <memory>

#include "lib/base/clock.h"
#include "lib/event/event_loop.h"
#include "services/scheduler/job_queue.h"
#include "services/scheduler/progress_message.h"
#include "services/scheduler/progress_socket.h"
#include "services/scheduler/worker.h"

namespace coffer::scheduler {

class Observer {
  public:
    virtual ~Observer() = default;
    virtual void job_added(const Job& job) = 0;
    // State, phase, or result changed.
    virtual void job_changed(const Job& job) = 0;
    virtual void job_ended(const Job& job) = 0;
    // Fell out of the history.
    virtual void job_forgotten(JobId id) = 0;
};

struct Places {
    Path config_file;
    Path runtime_dir;
    Path job_program;
};

class Scheduler {
  public:
    Scheduler(EventLoop& loop, const Clock& clock, Places places, Observer& observer, QueueLimits limits = {});
    ~Scheduler();

    // Throws no_such_server, invalid_configuration (the server is disabled or passive), not_supported and
    // invalid_argument (job_kinds.h), busy.
    const Job& enqueue(const std::string& server, const std::string& kind, bus::Options options, uid_t started_by);
    // SIGTERM; a second time SIGKILL. A waiting job ends at once. refused for a finished one, no_such_job.
    void cancel(JobId id);
    // Cancels what runs and drops what waits; done is called when no worker is left.
    void shut_down(std::function<void()> done);

    [[nodiscard]] const JobQueue& queue() const noexcept { return queue_; }

  private:
    struct Rate {
        MonotonicTime since{};
        std::uint64_t bytes = 0;
    };

    void check_server(const std::string& name, const std::string& kind) const;
    void start_later();
    void start_what_may();
    void start(Job& job);
    void progress(pid_t sender, std::string_view datagram);
    void apply(Job& job, const ProgressMessage& message);
    void update_rate(Job& job, std::uint64_t bytes_done);
    void worker_ended(JobId id, const WorkerEnd& end);
    void finish(Job& job, JobResult result, JobFailure failure = {});

    EventLoop& loop_;
    const Clock& clock_;
    Places places_;
    Observer& observer_;
    JobQueue queue_;
    ProgressSocket socket_;
    std::map<JobId, std::unique_ptr<Worker>> workers_;
    std::map<JobId, ProgressMessage> last_words_;  // results that came before the end of the process
    std::map<JobId, Rate> rates_;
    EventSource starter_;
    EventSource patience_;  // while shutting down
    std::function<void()> all_gone_;
};

}  // namespace coffer::scheduler
