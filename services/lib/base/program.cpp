#include "lib/base/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/base/error.h"
#include "lib/base/files.h"
#include "lib/base/unique_fd.h"

namespace coffer {
namespace {

using namespace std::chrono_literals;

constexpr int cannot_begin = 126;
constexpr auto time_to_end = 5s;  // between SIGTERM and SIGKILL

struct ProgramPipe {
    UniqueFd read_end, write_end;
    ProgramPipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno(errno, "cannot create a pipe", {});
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
        ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
    }
};

std::string place_of_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* const path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    for (;;) {
        const std::size_t colon = rest.find(':');
        const std::string_view folder = rest.substr(0, colon);
        const std::string place = std::string(folder.empty() ? "." : folder) + "/" + name;
        if (::access(place.c_str(), X_OK) == 0 && !std::filesystem::is_directory(place)) return place;
        if (colon == rest.npos) break;
        rest.remove_prefix(colon + 1);
    }
    throw Error(ErrorCode::not_supported, "this program is not installed here", name, "install the package " + name);
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
    std::vector<std::string> all = more;
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view variable = *each;
        const std::string_view name = variable.substr(0, variable.find('=') + 1);
        bool ours = true;
        for (const std::string& other : more) ours = ours && !other.starts_with(name);
        if (ours) all.emplace_back(variable);
    }
    return all;
}

std::vector<char*> pointers_into(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (std::string& each : strings) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    return pointers;
}

// Everything that the child needs, made before the fork: of several threads only this one goes on in it, so that
// nothing there may take memory or a lock.
struct ProgramStart {
    const char* place;
    char** arguments;
    char** environment;
    int output, errors, input;
    pid_t parent;
};

[[noreturn]] void become_program(const ProgramStart& start) noexcept {
    ::setpgid(0, 0);
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &usual, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(start.input, STDIN_FILENO) < 0 || ::dup2(start.output, STDOUT_FILENO) < 0 ||
        ::dup2(start.errors, STDERR_FILENO) < 0) {
        ::_exit(cannot_begin);
    }
    ::syscall(SYS_close_range, 3U, ~0U, 4U);  // CLOSE_RANGE_CLOEXEC
    // Not to go on writing beside its successor when we are killed.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != start.parent) ::_exit(cannot_begin);
    ::execve(start.place, start.arguments, start.environment);
    ::_exit(cannot_begin);
}

class ProgramWatch {
  public:
    ProgramWatch(const Program& program, pid_t pid, UniqueFd output, UniqueFd errors)
        : program_(program),
          pid_(pid),
          ended_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))),
          output_(std::move(output)),
          errors_(std::move(errors)) {
        if (!ended_) throw Error::from_errno(errno, "cannot watch a program", program_.words.front());
    }
    ProgramWatch(const ProgramWatch&) = delete;
    ProgramWatch& operator=(const ProgramWatch&) = delete;
    ~ProgramWatch() {
        if (pid_ > 0) (void)end_now();
    }

    ProgramEnd watch() {
        while (!turn()) {
        }
        // What it wrote at last is in the pipes by now. Whoever it has left behind holds them open, and has nothing to
        // say.
        while (read_output()) {
        }
        while (read_errors()) {
        }
        if (!line_.empty()) take_line();
        ::kill(-pid_, SIGTERM);
        const int status = reap();
        if (stopped_) throw Error(ErrorCode::canceled, "canceled while a program ran", program_.words.front());
        while (!errors_text_.empty() && errors_text_.back() == '\n') errors_text_.pop_back();
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), std::move(errors_text_)};
    }

  private:
    // True when it has ended.
    bool turn() {
        std::array<pollfd, 4> fds{pollfd{ended_.get(), POLLIN, 0}, pollfd{output_.get(), POLLIN, 0},
                                  pollfd{errors_.get(), POLLIN, 0},
                                  pollfd{stopped_ ? -1 : program_.stop_fd, POLLIN, 0}};
        if (::poll(fds.data(), fds.size(), time_left()) < 0 && errno != EINTR) {
            throw Error::from_errno(errno, "cannot wait for a program", program_.words.front());
        }
        if (fds[1].revents != 0) (void)read_output();
        if (fds[2].revents != 0) (void)read_errors();
        if (fds[3].revents != 0) {
            stopped_ = true;
            ::kill(-pid_, SIGTERM);
            deadline_ = std::chrono::steady_clock::now() + time_to_end;
        }
        if (deadline_ && std::chrono::steady_clock::now() >= *deadline_) {
            ::kill(-pid_, SIGKILL);
            deadline_.reset();
        }
        return fds[0].revents != 0;
    }

    [[nodiscard]] int time_left() const {
        if (!deadline_) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - std::chrono::steady_clock::now());
        return static_cast<int>(std::max<std::chrono::milliseconds>(left, 0ms).count());
    }

    std::string_view read_some(UniqueFd& fd) {
        if (!fd) return {};
        const ssize_t got = ::read(fd.get(), buffer_.data(), buffer_.size());
        if (got > 0) return {buffer_.data(), static_cast<std::size_t>(got)};
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) fd.reset();
        return {};
    }

    // False when there is nothing more for now.
    bool read_output() {
        std::string_view text = read_some(output_);
        if (text.empty()) return false;
        while (!text.empty()) {
            const std::size_t newline = text.find('\n');
            line_ += text.substr(0, newline);
            if (line_.size() > longest_program_line) {
                throw Error(ErrorCode::protocol, "a program writes a line without end", program_.words.front());
            }
            if (newline == text.npos) break;
            take_line();
            text.remove_prefix(newline + 1);
        }
        return true;
    }

    void take_line() {
        const std::string line = std::exchange(line_, {});
        if (program_.output && !stopped_) program_.output(line);
    }

    bool read_errors() {
        const std::string_view text = read_some(errors_);
        errors_text_ += text;
        if (errors_text_.size() > most_kept_errors) errors_text_.erase(0, errors_text_.size() - most_kept_errors);
        return !text.empty();
    }

    int reap() noexcept {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = 0;
        return status;
    }

    int end_now() noexcept {
        ::kill(-pid_, SIGTERM);
        const auto until = std::chrono::steady_clock::now() + time_to_end;
        pollfd wait{ended_.get(), POLLIN, 0};
        while (std::chrono::steady_clock::now() < until && ::poll(&wait, 1, 1000) <= 0) {
        }
        ::kill(-pid_, SIGKILL);
        return reap();
    }

    const Program& program_;
    pid_t pid_;
    UniqueFd ended_, output_, errors_;
    std::array<char, 65536> buffer_{};
    std::string line_, errors_text_;
    std::optional<std::chrono::steady_clock::time_point> deadline_;
    bool stopped_ = false;
};

}  // namespace

ProgramEnd run_program(const Program& program) {
    const std::string place = place_of_program(program.words.front());
    std::vector<std::string> words = program.words;
    std::vector<std::string> variables = environment_with(program.environment);
    const std::vector<char*> arguments = pointers_into(words);
    const std::vector<char*> environment = pointers_into(variables);
    ProgramPipe output, errors;
    const UniqueFd input(::memfd_create("input", MFD_CLOEXEC));
    if (!input) throw Error::from_errno(errno, "cannot make the input of a program", program.words.front());
    files().write_at(input.get(), as_byte_span(program.input), 0, "input of " + program.words.front());
    const ProgramStart start{place.c_str(),
                             const_cast<char**>(arguments.data()),
                             const_cast<char**>(environment.data()),
                             output.write_end.get(),
                             errors.write_end.get(),
                             input.get(),
                             ::getpid()};
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    if (pid == 0) become_program(start);
    const int error = errno;
    ::setpgid(pid, pid);  // by whichever of the two comes first
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) throw Error::from_errno(error, "cannot start a program", program.words.front());
    output.write_end.reset();
    errors.write_end.reset();
    return ProgramWatch(program, pid, std::move(output.read_end), std::move(errors.read_end)).watch();
}

}  // namespace coffer
