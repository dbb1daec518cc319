#include "lib/hooks/hook_process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/hooks/output_lines.h"

namespace coffer::hooks {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int cannot_become = 126;
constexpr int no_shell = 127;

struct Pipe {
    UniqueFd read_end, write_end;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno(errno, "cannot create a pipe for a hook", {});
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
        ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
    }
};

// Pointers into strings that outlive them, and a null behind.
std::vector<char*> pointers_to(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (std::string& each : strings) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    return pointers;
}

// Everything that the child needs, made before the fork: of several threads only this one goes on in it, so that
// nothing there may take memory or a lock.
struct Start {
    char** arguments;
    char** environment;
    const HookUser* user;
    int output, errors, nothing;
    pid_t parent;
};

[[noreturn]] void give_up(const char* what) noexcept {
    (void)!::write(STDERR_FILENO, what, std::strlen(what));
    ::_exit(cannot_become);
}

void reset_signals() noexcept {
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &usual, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// When memory is short the hook goes rather than the service.
void drop_oom_protection() noexcept {
    const int fd = ::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char first = 0;
    if (fd >= 0 && ::read(fd, &first, 1) == 1 && first == '-') (void)!::pwrite(fd, "0", 1, 0);
}

void close_all_others() noexcept {
    if (::syscall(SYS_close_range, 3U, ~0U, 0U) == 0) return;
    const long most = ::sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < static_cast<int>(most > 0 ? most : 65536); ++fd) ::close(fd);
}

[[noreturn]] void become_hook(const Start& start) noexcept {
    ::setsid();
    reset_signals();
    if (::dup2(start.nothing, STDIN_FILENO) < 0 || ::dup2(start.output, STDOUT_FILENO) < 0 ||
        ::dup2(start.errors, STDERR_FILENO) < 0) {
        ::_exit(cannot_become);
    }
    drop_oom_protection();
    close_all_others();
    ::umask(0027);
    if (::chdir("/") != 0) give_up("cannot change to the root directory\n");
    if (start.user != nullptr) {
        const HookUser& user = *start.user;
        if (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
            ::setresgid(user.gid, user.gid, user.gid) != 0 || ::setresuid(user.uid, user.uid, user.uid) != 0) {
            give_up("cannot become the unprivileged user\n");
        }
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up("cannot give up new privileges\n");
    // Not to be left behind, and met by its successor, when we are killed.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != start.parent) ::_exit(cannot_become);
    ::execve("/bin/sh", start.arguments, start.environment);
    ::_exit(no_shell);
}

UniqueFd descriptor_of(pid_t pid) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
    if (fd) return fd;
    const int error = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw Error::from_errno(error, "cannot watch the process of a hook", {});
}

HookEnd reap(pid_t pid) noexcept {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
    }
    return {info.si_code == CLD_EXITED ? HookEnd::Kind::exited : HookEnd::Kind::signaled, info.si_status};
}

class Watch {
  public:
    Watch(const HookProcess& hook, pid_t pid, UniqueFd output, UniqueFd errors)
        : hook_(hook),
          pid_(pid),
          ended_(descriptor_of(pid)),
          output_(std::move(output), [&hook](std::string_view line) { hook.output(line, false); }),
          errors_(std::move(errors), [&hook](std::string_view line) { hook.output(line, true); }) {
        if (hook.limit > 0ms) deadline_ = steady_clock::now() + hook.limit;
    }

    HookEnd run() {
        while (!turn()) {
        }
        // What is between is in the pipes by now.
        output_.read();
        errors_.read();
        output_.finish();
        errors_.finish();
        // Whoever of the group has outlived the shell. Its number is not free before it is reaped.
        if (cause_) ::kill(-pid_, SIGKILL);
        HookEnd end = reap(pid_);
        if (cause_) end.kind = *cause_;
        return end;
    }

  private:
    // True when it has ended.
    bool turn() {
        const int stop_fd = stopping_ ? -1 : hook_.stop.fd;
        std::array<pollfd, 4> fds{pollfd{ended_.get(), POLLIN, 0}, pollfd{output_.fd(), POLLIN, 0},
                                  pollfd{errors_.fd(), POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
        if (::poll(fds.data(), fds.size(), time_left()) < 0 && errno != EINTR) return false;
        if (fds[1].revents != 0) output_.read();
        if (fds[2].revents != 0) errors_.read();
        if (fds[0].revents != 0) return true;
        if (fds[3].revents != 0) stop();
        if (deadline_ && steady_clock::now() >= *deadline_) end_it();
        return false;
    }

    [[nodiscard]] int time_left() const {
        if (!deadline_) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - steady_clock::now());
        return static_cast<int>(std::clamp<std::chrono::milliseconds>(left, 0ms, 24h).count());
    }

    void stop() {
        stopping_ = true;
        if (cause_) return;
        const auto until = steady_clock::now() + hook_.stop.grace;
        deadline_ = deadline_ ? std::min(*deadline_, until) : until;
    }

    void end_it() {
        if (cause_) {
            ::kill(-pid_, SIGKILL);
            deadline_.reset();
            return;
        }
        cause_ = stopping_ ? HookEnd::Kind::stopped : HookEnd::Kind::timed_out;
        ::kill(-pid_, SIGTERM);
        deadline_ = steady_clock::now() + hook_.kill_grace;
    }

    const HookProcess& hook_;
    const pid_t pid_;
    UniqueFd ended_;
    OutputLines output_, errors_;
    std::optional<steady_clock::time_point> deadline_;
    bool stopping_ = false;
    std::optional<HookEnd::Kind> cause_;  // set: it has been told to end
};

}  // namespace

bool Stop::asked() const noexcept {
    pollfd wait{fd, POLLIN, 0};
    return fd >= 0 && ::poll(&wait, 1, 0) > 0;
}

std::string HookEnd::text() const {
    switch (kind) {
        case Kind::exited:
            return fmt::format("ended with exit status {}", status);
        case Kind::signaled:
            return fmt::format("was ended by signal {}", status);
        case Kind::timed_out:
            return "took too long and was ended";
        case Kind::stopped:
            return "was ended, since this process has to end";
    }
    return {};
}

HookEnd run_hook_process(const HookProcess& hook) {
    std::vector<std::string> words{"sh", "-c", hook.script};
    std::vector<std::string> variables = hook.environment;
    const std::vector<char*> arguments = pointers_to(words);
    const std::vector<char*> environment = pointers_to(variables);
    Pipe output, errors;
    const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!nothing) throw Error::from_errno(errno, "cannot open file", "/dev/null");
    const Start start{const_cast<char**>(arguments.data()),
                      const_cast<char**>(environment.data()),
                      hook.user ? &*hook.user : nullptr,
                      output.write_end.get(),
                      errors.write_end.get(),
                      nothing.get(),
                      ::getpid()};
    // Nothing that ends a process may come between the fork and the setsid() of the child.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    if (pid == 0) become_hook(start);
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) throw Error::from_errno(error, "cannot start the process of a hook", {});
    output.write_end.reset();
    errors.write_end.reset();
    return Watch(hook, pid, std::move(output.read_end), std::move(errors.read_end)).run();
}

}  // namespace coffer::hooks
