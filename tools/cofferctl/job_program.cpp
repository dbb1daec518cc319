#include "tools/cofferctl/job_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "lib/base/error.h"
#include "lib/base/files.h"
#include "lib/base/unique_fd.h"

namespace coffer::cofferctl {
namespace {

// The program lies in libexec, or beside this one in a build tree.
Path find_job_program() {
    std::vector<Path> places;
    if (const char* libexec = std::getenv("COFFER_LIBEXEC")) places.emplace_back(libexec);
    std::error_code error;
    const Path self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) {
        places.push_back(self.parent_path().parent_path() / "libexec/coffer");
        places.push_back(self.parent_path());
    }
    for (const Path& place : places) {
        if (::access((place / "coffer-job").c_str(), X_OK) == 0) return place / "coffer-job";
    }
    throw Error(ErrorCode::internal, "the program coffer-job is missing", places.empty() ? "" : places.back().string(),
                "reinstall Coffer, or set COFFER_LIBEXEC to the directory that holds it");
}

[[noreturn]] void execute(std::vector<std::string> arguments) {
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv(pointers[0], pointers.data());
    throw Error::from_errno(errno, "cannot start", arguments[0]);
}

}  // namespace

void become_job(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), find_job_program().string());
    execute(std::move(arguments));
}

int run_job(std::vector<std::string> arguments, std::string* output) {
    arguments.insert(arguments.begin(), find_job_program().string());
    int ends[2] = {-1, -1};
    if (output != nullptr && ::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno(errno, "cannot make a pipe", {});
    UniqueFd from(ends[0]), to(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) throw Error::from_errno(errno, "cannot start", arguments[0]);
    if (child == 0) {
        // Whoever ends this program means the job.
        (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent || (to && ::dup2(to.get(), STDOUT_FILENO) < 0)) ::_exit(1);
        try {
            execute(std::move(arguments));
        } catch (const Error& error) {
            std::cerr << error.full_text() << std::endl;
        }
        ::_exit(1);
    }
    to.reset();
    char piece[65536];
    while (from) {
        const ssize_t got = ::read(from.get(), piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        output->append(piece, static_cast<std::size_t>(got));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace coffer::cofferctl
