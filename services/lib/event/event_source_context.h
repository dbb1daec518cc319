#pragma once
// Private to lib/event: what a callback of sd-event gets as its userdata.
#include <sys/inotify.h>

#include "lib/event/event_loop.h"

namespace coffer {

struct EventSource::Context : std::enable_shared_from_this<EventSource::Context> {
    sd_event_source* source = nullptr;
    std::chrono::microseconds period{0};  // of a repeating timer
    std::function<void()> plain;          // timer, defer, signal
    std::function<void(std::uint32_t)> io;
    std::function<void(const siginfo_t&)> child;
    std::function<void(const FileChange&)> file;

    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() { sd_event_source_disable_unref(source); }
};

// Throws internal for a negative result of sd-event.
void check_event_call(int result, const char* what);

}  // namespace coffer
