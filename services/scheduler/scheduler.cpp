#include "services/scheduler/scheduler.h"

#include <signal.h>

#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/config/config.h"
#include "services/scheduler/job_end.h"
#include "services/scheduler/job_kinds.h"

namespace coffer::scheduler {
namespace {

using namespace std::chrono_literals;

constexpr auto patience_at_stop = 20s;
constexpr auto rate_window = 1s;

// Numbers go on over a restart of the scheduler, so that one number never means two jobs while the machine is up.
JobId first_id(const Path& runtime_dir) {
    const auto text = read_file(runtime_dir / "next-job", 64);
    if (!text) return 1;
    const std::uint64_t id = std::strtoull(text->c_str(), nullptr, 10);
    return id == 0 ? 1 : id;
}

void remember_next_id(const Path& runtime_dir, JobId next) {
    std::ofstream(runtime_dir / "next-job", std::ios::trunc) << next << '\n';
}

Places prepared(Places places) {
    std::error_code error;
    std::filesystem::remove_all(places.runtime_dir / "jobs", error);  // of a scheduler that crashed
    std::filesystem::create_directories(places.runtime_dir / "jobs", error);
    if (error)
        throw Error::from_errno(error.value(), "cannot make a directory", (places.runtime_dir / "jobs").string());
    return places;
}

}  // namespace

Scheduler::Scheduler(EventLoop& loop, const Clock& clock, Places places, Observer& observer, QueueLimits limits)
    : loop_(loop),
      clock_(clock),
      places_(prepared(std::move(places))),
      observer_(observer),
      queue_(limits, first_id(places_.runtime_dir)),
      socket_(loop, places_.runtime_dir / "progress.sock",
              [this](pid_t sender, std::string_view datagram) { progress(sender, datagram); }) {}

Scheduler::~Scheduler() = default;

// The configuration is read anew each time: whatever was dropped there counts at once.
void Scheduler::check_server(const std::string& name, const std::string& kind) const {
    const config::Config config = config::load(places_.config_file);
    const config::Server& server = config.server(name);
    if (!server.usable()) {
        for (const config::Problem& problem : server.problems) {
            if (!problem.fatal) continue;
            throw Error(ErrorCode::invalid_configuration, "server is disabled: " + problem.to_string(), name,
                        problem.remedy);
        }
        throw Error(ErrorCode::invalid_configuration, "server is disabled by its configuration", name);
    }
    if (!server.active && kind == "backup") {
        throw Error(ErrorCode::invalid_configuration, "server is not active", name, "set active = true to back it up");
    }
}

const Job& Scheduler::enqueue(const std::string& server, const std::string& kind, bus::Options options,
                              uid_t started_by) {
    if (all_gone_) throw Error(ErrorCode::busy, "the scheduler is stopping", {}, "try again when it is back");
    check_request(kind, options);
    check_server(server, kind);
    const Job& job = queue_.add(kind, server, std::move(options), started_by, clock_.now());
    remember_next_id(places_.runtime_dir, job.id + 1);
    log_message(LogLevel::info, fmt::format("job {}: {} of {} is queued", job.id, kind, server),
                {{"JOB", std::to_string(job.id)}, {"SERVER", server}});
    observer_.job_added(job);
    start_later();
    return job;
}

void Scheduler::start_later() {
    starter_ = loop_.on_next_turn([this] { start_what_may(); });
}

void Scheduler::start_what_may() {
    if (all_gone_) return;
    while (Job* job = queue_.next_to_start()) start(*job);
}

void Scheduler::start(Job& job) {
    job.state = JobState::running;
    job.started = clock_.now();
    try {
        const SpecPlace place{std::to_string(job.id), places_.config_file.string(), socket_.path().string()};
        workers_[job.id] =
            std::make_unique<Worker>(loop_, places_.job_program, places_.runtime_dir / "jobs" / std::to_string(job.id),
                                     spec_json(job.kind, job.server, job.options, place),
                                     [this, id = job.id](const WorkerEnd& end) { worker_ended(id, end); });
        rates_[job.id] = {clock_.monotonic(), 0};
        observer_.job_changed(job);
    } catch (const Error& error) {
        workers_.erase(job.id);
        finish(job, JobResult::failed, {std::string(bus_name_of(error.code())), error.what(), error.remedy()});
    }
}

void Scheduler::cancel(JobId id) {
    Job& job = queue_.job(id);
    if (job.state == JobState::finished) {
        throw Error(ErrorCode::refused, "the job has ended already", std::to_string(id));
    }
    if (job.state == JobState::queued) {
        finish(job, JobResult::canceled);
        return;
    }
    Worker& worker = *workers_.at(id);
    if (job.state == JobState::canceling) {
        worker.send_signal(SIGKILL);
        return;
    }
    job.state = JobState::canceling;
    worker.send_signal(SIGTERM);
    observer_.job_changed(job);
}

void Scheduler::shut_down(std::function<void()> done) {
    all_gone_ = std::move(done);
    std::vector<JobId> unfinished;
    for (const Job* job : queue_.jobs()) {
        if (job->state == JobState::queued || job->state == JobState::running) unfinished.push_back(job->id);
    }
    for (const JobId id : unfinished) cancel(id);
    if (workers_.empty()) {
        all_gone_();
        return;
    }
    log_info("waiting for the end of {} jobs", workers_.size());
    patience_ = loop_.on_timer(patience_at_stop, [this] {
        for (const auto& [id, worker] : workers_) worker->send_signal(SIGKILL);
    });
}

void Scheduler::progress(pid_t sender, std::string_view datagram) {
    const auto message = parse_progress(datagram);
    if (!message) return;
    for (const auto& [id, worker] : workers_) {
        if (worker->pid() != sender || message->job_id != std::to_string(id)) continue;
        apply(queue_.job(id), *message);
        return;
    }
}

void Scheduler::apply(Job& job, const ProgressMessage& message) {
    if (message.result != JobResult::none) {
        last_words_[job.id] = message;  // counts when the process has ended
        return;
    }
    if (!message.phase) return;
    const bool new_phase = job.phase != *message.phase;
    job.message = message.message;
    if (new_phase) {
        job.phase = *message.phase;
        job.rate_bytes = 0;
        rates_[job.id] = {clock_.monotonic(), message.done};
    } else {
        update_rate(job, message.done);
    }
    job.bytes_done = message.done;
    job.bytes_total = message.total;
    if (new_phase) observer_.job_changed(job);
}

void Scheduler::update_rate(Job& job, std::uint64_t bytes_done) {
    Rate& rate = rates_[job.id];
    const auto passed = clock_.monotonic() - rate.since;
    if (passed < rate_window || bytes_done < rate.bytes) return;
    const double seconds = std::chrono::duration<double>(passed).count();
    job.rate_bytes = static_cast<std::uint64_t>(static_cast<double>(bytes_done - rate.bytes) / seconds);
    rate = {clock_.monotonic(), bytes_done};
}

void Scheduler::worker_ended(JobId id, const WorkerEnd& end) {
    socket_.drain();  // what it said last, while it is still known
    Job& job = queue_.job(id);
    workers_.erase(id);
    std::optional<ProgressMessage> last;
    if (const auto found = last_words_.find(id); found != last_words_.end()) last = std::move(found->second);
    const JobOutcome outcome = outcome_of(end, last, job.state == JobState::canceling);
    job.backup_id = outcome.backup_id;
    job.warning = outcome.warning;
    last_words_.erase(id);
    rates_.erase(id);
    finish(job, outcome.result, outcome.failure);
    start_later();
    if (all_gone_ && workers_.empty()) all_gone_();
}

void Scheduler::finish(Job& job, JobResult result, JobFailure failure) {
    job.state = JobState::finished;
    job.result = result;
    job.failure = std::move(failure);
    job.ended = clock_.now();
    job.rate_bytes = 0;
    const std::string number = std::to_string(job.id);
    if (result == JobResult::failed) {
        log_message(LogLevel::error,
                    fmt::format("job {}: {} of {} failed: {}", number, job.kind, job.server, job.failure.message),
                    {{"JOB", number}, {"SERVER", job.server}});
    } else {
        log_message(LogLevel::info,
                    fmt::format("job {}: {} of {} is {}", number, job.kind, job.server, name_of(result)),
                    {{"JOB", number}, {"SERVER", job.server}, {"BACKUP_ID", job.backup_id}});
    }
    observer_.job_ended(job);
    for (const JobId forgotten : queue_.finished(job.id)) observer_.job_forgotten(forgotten);
}

}  // namespace coffer::scheduler
