#pragma once
// The event loop of a service (sd-event, RAII). One thread owns it and everything attached to it; other threads reach
// it through a Mailbox only. Functions throw coffer::Error (internal) when the kernel refuses. Nothing may block in a
// callback.
#include <signal.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "lib/base/files.h"
#include "lib/event/event_source.h"

namespace coffer {

// A change in a watched directory. name is empty for the directory itself; overflow: changes were lost, look at
// everything.
struct FileChange {
    std::string name;
    std::uint32_t mask = 0;  // IN_* of inotify(7)
    bool overflow = false;
};

class EventLoop {
  public:
    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    [[nodiscard]] sd_event* get() const noexcept { return event_; }

    // Until exit(); returns its status.
    int run();
    // One turn, waiting at most this long; false when nothing happened. For tests.
    bool run_once(std::chrono::microseconds longest_wait);
    // Turns until done() or the deadline; returns what done() says in the end. For tests.
    bool run_until(const std::function<bool()>& done, std::chrono::microseconds deadline);
    void exit(int status = 0) noexcept;

    // events: EPOLLIN, EPOLLOUT, ...; the descriptor stays the caller's and must outlive the source.
    [[nodiscard]] EventSource on_io(int fd, std::uint32_t events, std::function<void(std::uint32_t revents)> callback);
    // Once, this long from now (CLOCK_BOOTTIME); EventSource::rearm() for another time.
    [[nodiscard]] EventSource on_timer(std::chrono::microseconds from_now, std::function<void()> callback);
    [[nodiscard]] EventSource every(std::chrono::microseconds period, std::function<void()> callback);
    // Once, at the next turn of the loop.
    [[nodiscard]] EventSource on_next_turn(std::function<void()> callback);
    // Blocks the signal in this thread first: call before other threads start.
    [[nodiscard]] EventSource on_signal(int signal_number, std::function<void()> callback);
    // Once, when the child has ended; reaps it. Blocks SIGCHLD in this thread: children unblock it before exec.
    [[nodiscard]] EventSource on_child(pid_t child, std::function<void(const siginfo_t&)> callback);
    // Changes of the entries of a directory (or of a file), mask as in inotify(7).
    [[nodiscard]] EventSource on_file_change(const Path& path, std::uint32_t mask,
                                             std::function<void(const FileChange&)> callback);

    // Pings systemd's watchdog as long as the loop turns (no effect without WatchdogSec=).
    void enable_watchdog();

  private:
    sd_event* event_ = nullptr;
};

// What systemd is told (sd_notify(3)); no effect outside of a Type=notify unit. Never throws.
void notify_ready() noexcept;
void notify_reloading() noexcept;
void notify_stopping() noexcept;
// One fact that a person wants first, in present tense, with a full stop, up to 80 characters.
void notify_status(const std::string& sentence) noexcept;

}  // namespace coffer
