#pragma once
// Something an event loop watches, and what it does then. Destroying it ends the watch, also from inside its own
// callback. Move-only; empty is legal. Loop thread only.
//
// Callbacks are std::function behind one noexcept trampoline: an exception is logged and the source stays, for one that
// left a C callback would block sd-event for ever.
#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace coffer {

// Runs action; whatever it throws is logged as "WHAT: ..." and swallowed. False if something was thrown.
bool run_guarded(const char* what, const std::function<void()>& action) noexcept;

class EventSource {
  public:
    EventSource() noexcept;
    EventSource(EventSource&&) noexcept;
    EventSource& operator=(EventSource&&) noexcept;
    ~EventSource();

    [[nodiscard]] sd_event_source* get() const noexcept;
    explicit operator bool() const noexcept { return get() != nullptr; }
    void reset() noexcept;

    void enable(bool on);
    // Lower runs earlier; 0 is normal.
    void set_priority(std::int64_t priority);
    // Timers: fires once more, this long from now.
    void rearm(std::chrono::microseconds from_now);
    // Descriptors: the events (EPOLLIN and so on) to watch from now on.
    void set_io_events(std::uint32_t events);

    struct Context;  // of event_loop.cpp
    explicit EventSource(std::shared_ptr<Context> context) noexcept;

  private:
    std::shared_ptr<Context> context_;
};

}  // namespace coffer
