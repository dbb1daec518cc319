#include "services/scheduler/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <vector>

#include "lib/base/error.h"

namespace coffer::scheduler {
namespace {

// What systemd tells a service is not for its children.
bool is_private_to_service(std::string_view variable) {
    for (const std::string_view name :
         {"NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "LISTEN_FDS=", "LISTEN_PID="}) {
        if (variable.starts_with(name)) return true;
    }
    return false;
}

std::vector<char*> child_environment() {
    std::vector<char*> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (!is_private_to_service(*variable)) variables.push_back(*variable);
    }
    variables.push_back(nullptr);
    return variables;
}

// Settings of posix_spawn(3): no signal blocked or ignored (the loop blocks some), a process group of its own (so that
// Ctrl-C at a terminal reaches the scheduler only, which then cancels), nothing on standard input.
class SpawnSettings {
  public:
    SpawnSettings() {
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawn_file_actions_init(&actions_);
        sigset_t none;
        sigset_t all;
        sigemptyset(&none);
        sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    ~SpawnSettings() {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&actions_);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;

    posix_spawnattr_t attributes_;
    posix_spawn_file_actions_t actions_;
};

pid_t spawn(const Path& program, const Path& spec_file) {
    SpawnSettings settings;
    std::string name = program.string();
    std::string option = "--spec";
    std::string file = spec_file.string();
    char* arguments[] = {name.data(), option.data(), file.data(), nullptr};
    std::vector<char*> environment = child_environment();
    pid_t pid = -1;
    const int error =
        ::posix_spawn(&pid, name.c_str(), &settings.actions_, &settings.attributes_, arguments, environment.data());
    if (error != 0) throw Error::from_errno(error, "cannot start a job", name);
    return pid;
}

void write_spec(const Path& file, const std::string& spec) {
    const UniqueFd fd = files().open(file, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    files().append(fd.get(), as_byte_span(spec), file);
}

}  // namespace

Worker::Worker(EventLoop& loop, const Path& program, Path directory, const std::string& spec,
               std::function<void(const WorkerEnd&)> ended)
    : directory_(std::move(directory)) {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) throw Error::from_errno(error.value(), "cannot make the directory of a job", directory_.string());
    const Path file = directory_ / "spec.json";
    write_spec(file, spec);
    pid_ = spawn(program, file);
    child_ = loop.on_child(pid_, [ended = std::move(ended)](const siginfo_t& info) {
        // It is reaped after this callback: until then its number is no other process. The callback destroys the
        // worker.
        WorkerEnd end;
        if (info.si_code == CLD_EXITED) {
            end.exit_status = info.si_status;
        } else {
            end.signal_number = info.si_status;
        }
        ended(end);
    });
}

Worker::~Worker() {
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
}

void Worker::send_signal(int signal_number) noexcept {
    if (pid_ > 0) ::kill(pid_, signal_number);
}

Path find_job_program() {
    std::vector<Path> places;
    if (const char* folder = std::getenv("COFFER_LIBEXEC"); folder != nullptr && *folder != '\0')
        places.emplace_back(folder);
    std::error_code error;
    const Path self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) places.push_back(self.parent_path());
    for (const Path& place : places) {
        if (::access((place / "coffer-job").c_str(), X_OK) == 0) return place / "coffer-job";
    }
    throw Error(ErrorCode::io, "coffer-job is not there", places.empty() ? "" : places.back().string(),
                "install it beside coffer-scheduler, or set COFFER_LIBEXEC to its directory");
}

}  // namespace coffer::scheduler
