#include "tools/clients/box.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "lib/base/error.h"

extern char** environ;

namespace coffer::clients {
namespace {

constexpr int pipe_size = 1 << 20;

struct SpawnActions {
    SpawnActions() noexcept { ::posix_spawn_file_actions_init(&actions); }
    ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    posix_spawn_file_actions_t actions{};
};

void refuse_option_like(const std::string& word, const char* what) {
    if (word.empty() || word[0] == '-') {
        throw Error(ErrorCode::invalid_argument, std::string("not the name of a ") + what, word);
    }
}

void make_pipe(UniqueFd& out, UniqueFd& in) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno(errno, "cannot make a pipe", {});
    out.reset(ends[0]);
    in.reset(ends[1]);
}

}  // namespace

void check(const Box& box) {
    refuse_option_like(box.host, "host");
    refuse_option_like(box.user, "user");
    refuse_option_like(box.server, "server");
    unsigned port = 0;
    const char* const end = box.port.data() + box.port.size();
    const auto parsed = std::from_chars(box.port.data(), end, port);
    if (!box.port.empty() && (parsed.ec != std::errc() || parsed.ptr != end || port == 0 || port > 65535)) {
        throw Error(ErrorCode::invalid_argument, "not a port", box.port);
    }
}

std::string quoted_for_shell(const std::string& word) {
    const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || std::strchr("_-./:=+,@%", c) != nullptr; };
    if (!word.empty() && std::all_of(word.begin(), word.end(), [&](char c) { return c != '\0' && plain(c); }))
        return word;
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'') {
            quoted += "'\\''";
        } else {
            quoted += c;
        }
    }
    return quoted + "'";
}

std::vector<std::string> ssh_command(const Box& box, const std::string& program,
                                     const std::vector<std::string>& words) {
    // A recovery has nobody who could type a password; a dead connection is told within half a minute.
    std::vector<std::string> argv{"ssh", "-T",
                                  "-o",  "BatchMode=yes",
                                  "-o",  "LogLevel=ERROR",
                                  "-o",  "ConnectTimeout=30",
                                  "-o",  "ServerAliveInterval=10",
                                  "-o",  "ServerAliveCountMax=3",
                                  "-l",  box.user};
    if (!box.port.empty()) argv.insert(argv.end(), {"-p", box.port});
    argv.insert(argv.end(), {"--", box.host});
    std::string command = program;
    if (!box.config.empty()) command += " -c " + quoted_for_shell(box.config);
    for (const std::string& word : words) command += " " + quoted_for_shell(word);
    argv.push_back(std::move(command));
    return argv;
}

Child::Child(const std::vector<std::string>& argv, bool quiet) {
    UniqueFd its_input, its_output;
    make_pipe(its_input, to_);
    make_pipe(from_, its_output);
    (void)::fcntl(from_.get(), F_SETPIPE_SZ, pipe_size);
    SpawnActions how;
    ::posix_spawn_file_actions_adddup2(&how.actions, its_input.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&how.actions, its_output.get(), STDOUT_FILENO);
    if (quiet) ::posix_spawn_file_actions_addopen(&how.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const int failed = ::posix_spawnp(&pid_, words[0], &how.actions, &attributes, words.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    if (failed != 0) {
        pid_ = -1;
        throw Error(ErrorCode::server_unreachable, "cannot start " + argv[0] + ": " + std::strerror(failed), {},
                    "is it installed, and in the PATH?");
    }
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), to_(std::move(other.to_)), from_(std::move(other.from_)) {}

Child& Child::operator=(Child&& other) noexcept {
    if (this != &other) {
        stop();
        pid_ = std::exchange(other.pid_, -1);
        to_ = std::move(other.to_);
        from_ = std::move(other.from_);
    }
    return *this;
}

Child::~Child() {
    stop();
}

int Child::wait() noexcept {
    to_.reset();
    from_.reset();
    if (pid_ < 0) return 0;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Child::stop() noexcept {
    if (pid_ >= 0) ::kill(pid_, SIGTERM);
    (void)wait();
}

}  // namespace coffer::clients
