// coffer-job: the worker that takes one backup, restores, verifies, exports or imports one, or scrubs a server, and
// ends. Exit status: 0 done, 1 failed, 2 done with a warning, 3 a backup or a scrub was canceled by SIGTERM or SIGINT.
// A restore that was canceled has failed, as with Barman: cofferctl becomes this program.
#include <sys/signalfd.h>

#include <array>
#include <csignal>
#include <iostream>

#include "lib/base/error.h"
#include "services/job/backup_command.h"
#include "services/job/progress.h"
#include "services/job/request.h"
#include "services/job/restore_command.h"
#include "services/job/scrub_command.h"
#include "services/job/transfer_command.h"
#include "services/job/verify_command.h"

namespace {

using namespace coffer;
using namespace coffer::job;

const std::array commands{backup_command(), restore_command(), verify_command(),
                          scrub_command(),  export_command(),  import_command()};

// Readable from the first SIGTERM or SIGINT on; nobody reads it, so that every wait of the job sees it.
UniqueFd stop_descriptor() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) throw Error::from_errno(errno, "cannot watch for signals", {});
    return fd;
}

int run(const JobRequest& request, ProgressReporter& progress) {
    const Command& command = command_named(request.kind, commands);
    try {
        const JobResult result = command.run(request, progress);
        progress.done(result);
        return result.warning.empty() ? 0 : 2;
    } catch (const Error& error) {
        progress.failed(error);
        return error.code() == ErrorCode::canceled ? command.status_when_canceled : exit_status_of(error.code());
    } catch (const std::exception& error) {
        progress.failed(Error(ErrorCode::internal, error.what()));
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        int exit_status = 0;
        std::optional<JobRequest> request = parse_arguments(argc, argv, commands, exit_status);
        if (!request) return exit_status;
        const UniqueFd stop = stop_descriptor();
        request->stop_fd = stop.get();
        const Clock clock;
        ProgressReporter progress(request->job_id, request->progress_socket, clock);
        return run(*request, progress);
    } catch (const Error& error) {
        std::cerr << "coffer-job: " << error.full_text() << '\n';
        return 1;
    }
}
