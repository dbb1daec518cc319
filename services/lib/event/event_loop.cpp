#include "lib/event/event_loop.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstring>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/event/event_source_context.h"

namespace coffer {
namespace {

using Context = EventSource::Context;
constexpr std::uint64_t timer_accuracy_usec = 1000;

// Every callback of sd-event ends here: the context is kept alive, and nothing is thrown into C.
template <typename Call>
int guarded(void* userdata, const char* what, Call&& call) noexcept {
    const std::shared_ptr<Context> context = static_cast<Context*>(userdata)->shared_from_this();
    run_guarded(what, [&] { call(*context); });
    return 0;
}

int io_trampoline(sd_event_source*, int, std::uint32_t revents, void* userdata) noexcept {
    return guarded(userdata, "descriptor event", [&](Context& context) { context.io(revents); });
}

int timer_trampoline(sd_event_source* source, std::uint64_t, void* userdata) noexcept {
    return guarded(userdata, "timer event", [&](Context& context) {
        if (context.period.count() > 0) {
            sd_event_source_set_time_relative(source, static_cast<std::uint64_t>(context.period.count()));
            sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        context.plain();
    });
}

int plain_trampoline(sd_event_source*, void* userdata) noexcept {
    return guarded(userdata, "deferred event", [](Context& context) { context.plain(); });
}

int signal_trampoline(sd_event_source*, const signalfd_siginfo*, void* userdata) noexcept {
    return guarded(userdata, "signal event", [](Context& context) { context.plain(); });
}

int child_trampoline(sd_event_source*, const siginfo_t* info, void* userdata) noexcept {
    return guarded(userdata, "end of a child", [&](Context& context) { context.child(*info); });
}

int inotify_trampoline(sd_event_source*, const inotify_event* event, void* userdata) noexcept {
    return guarded(userdata, "change of a file", [&](Context& context) {
        FileChange change;
        if (event->len > 0) change.name = event->name;
        change.mask = event->mask;
        change.overflow = (event->mask & IN_Q_OVERFLOW) != 0;
        context.file(change);
    });
}

void block_signal(int signal_number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
        throw Error::from_errno(error, "cannot block a signal", std::to_string(signal_number));
    }
}

}  // namespace

void check_event_call(int result, const char* what) {
    if (result < 0) {
        throw Error(ErrorCode::internal, fmt::format("event loop: cannot {} ({})", what, std::strerror(-result)));
    }
}

EventLoop::EventLoop() {
    check_event_call(sd_event_new(&event_), "create it");
}
EventLoop::~EventLoop() {
    sd_event_unref(event_);
}

int EventLoop::run() {
    const int status = sd_event_loop(event_);
    check_event_call(status, "run");
    return status;
}

bool EventLoop::run_once(std::chrono::microseconds longest_wait) {
    const int result = sd_event_run(event_, static_cast<std::uint64_t>(longest_wait.count()));
    check_event_call(result, "run");
    return result > 0;
}

bool EventLoop::run_until(const std::function<bool()>& done, std::chrono::microseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!done()) {
        const auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return false;
        run_once(left);
    }
    return true;
}

void EventLoop::exit(int status) noexcept {
    sd_event_exit(event_, status);
}

EventSource EventLoop::on_io(int fd, std::uint32_t events, std::function<void(std::uint32_t)> callback) {
    auto context = std::make_shared<Context>();
    context->io = std::move(callback);
    check_event_call(sd_event_add_io(event_, &context->source, fd, events, io_trampoline, context.get()),
                     "watch a descriptor");
    return EventSource(std::move(context));
}

EventSource EventLoop::on_timer(std::chrono::microseconds from_now, std::function<void()> callback) {
    auto context = std::make_shared<Context>();
    context->plain = std::move(callback);
    const auto delay = static_cast<std::uint64_t>(std::max<std::int64_t>(from_now.count(), 0));
    check_event_call(sd_event_add_time_relative(event_, &context->source, CLOCK_BOOTTIME, delay, timer_accuracy_usec,
                                                timer_trampoline, context.get()),
                     "set a timer");
    return EventSource(std::move(context));
}

EventSource EventLoop::every(std::chrono::microseconds period, std::function<void()> callback) {
    auto context = std::make_shared<Context>();
    context->plain = std::move(callback);
    context->period = std::max(period, std::chrono::microseconds(timer_accuracy_usec));
    const auto delay = static_cast<std::uint64_t>(context->period.count());
    check_event_call(sd_event_add_time_relative(event_, &context->source, CLOCK_BOOTTIME, delay, timer_accuracy_usec,
                                                timer_trampoline, context.get()),
                     "set a timer");
    return EventSource(std::move(context));
}

EventSource EventLoop::on_next_turn(std::function<void()> callback) {
    auto context = std::make_shared<Context>();
    context->plain = std::move(callback);
    check_event_call(sd_event_add_defer(event_, &context->source, plain_trampoline, context.get()), "defer a call");
    return EventSource(std::move(context));
}

EventSource EventLoop::on_signal(int signal_number, std::function<void()> callback) {
    block_signal(signal_number);
    auto context = std::make_shared<Context>();
    context->plain = std::move(callback);
    check_event_call(sd_event_add_signal(event_, &context->source, signal_number, signal_trampoline, context.get()),
                     "watch a signal");
    return EventSource(std::move(context));
}

EventSource EventLoop::on_child(pid_t child, std::function<void(const siginfo_t&)> callback) {
    block_signal(SIGCHLD);
    auto context = std::make_shared<Context>();
    context->child = std::move(callback);
    check_event_call(sd_event_add_child(event_, &context->source, child, WEXITED, child_trampoline, context.get()),
                     "watch a child process");
    return EventSource(std::move(context));
}

EventSource EventLoop::on_file_change(const Path& path, std::uint32_t mask,
                                      std::function<void(const FileChange&)> callback) {
    auto context = std::make_shared<Context>();
    context->file = std::move(callback);
    const int result =
        sd_event_add_inotify(event_, &context->source, path.c_str(), mask, inotify_trampoline, context.get());
    if (result < 0) throw Error::from_errno(-result, "cannot watch for changes", path.string());
    return EventSource(std::move(context));
}

void EventLoop::enable_watchdog() {
    check_event_call(sd_event_set_watchdog(event_, 1), "enable the watchdog");
}

void notify_ready() noexcept {
    sd_notify(0, "READY=1");
}

void notify_reloading() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto usec = static_cast<unsigned long long>(now.tv_sec) * 1000000ULL +
                      static_cast<unsigned long long>(now.tv_nsec) / 1000ULL;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", usec);
}

void notify_stopping() noexcept {
    sd_notify(0, "STOPPING=1");
}
void notify_status(const std::string& sentence) noexcept {
    sd_notifyf(0, "STATUS=%s", sentence.c_str());
}

}  // namespace coffer
