#pragma once
// One run of a hook script: a process of the shell with a session of its own, nothing on its standard input, no
// descriptor and no privilege of ours, watched until it ends or its time is over.
//
// Blocks the calling thread: for workers and jobs, never for an event loop. Any thread; several at once.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace coffer::hooks {

// Who a hook of a process that is root runs as.
struct HookUser {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string name, home;
};

// Somebody wants us to end.
struct Stop {
    int fd = -1;                         // readable (and never read) from then on; -1: nobody ever does
    std::chrono::milliseconds grace{0};  // how much longer a hook may run then
    [[nodiscard]] bool asked() const noexcept;
};

struct HookProcess {
    std::string script;                          // for sh -c
    std::vector<std::string> environment;        // NAME=value, all of it
    std::optional<HookUser> user;                // nullopt: who we are
    std::chrono::milliseconds limit{0};          // 0: none
    std::chrono::milliseconds kill_grace{5000};  // between SIGTERM and SIGKILL, which the whole group gets
    Stop stop;
    // A line of what it says, without the newline, at most longest_line bytes of it. Must not throw.
    std::function<void(std::string_view line, bool on_stderr)> output = [](std::string_view, bool) {};
};
inline constexpr std::size_t longest_line = 4096;
inline constexpr std::size_t most_lines = 1000;  // of one run; what comes behind is dropped, and that is said

struct HookEnd {
    enum class Kind { exited, signaled, timed_out, stopped } kind = Kind::exited;
    int status = 0;  // exit status, or the signal's number
    [[nodiscard]] bool exited_with(int wanted) const noexcept { return kind == Kind::exited && status == wanted; }
    [[nodiscard]] std::string text() const;  // "ended with exit status 1"
};

// What the script has put into the background when its shell ends goes on, with nobody to read what it says. Throws io
// when no process can be made.
HookEnd run_hook_process(const HookProcess& hook);

}  // namespace coffer::hooks
