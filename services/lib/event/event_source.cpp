#include "lib/event/event_source.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/event/event_source_context.h"

namespace coffer {

bool run_guarded(const char* what, const std::function<void()>& action) noexcept {
    try {
        action();
        return true;
    } catch (const Error& error) {
        log_error("{}: {}", what, error.full_text());
    } catch (const std::exception& error) {
        log_error("{}: {}", what, error.what());
    } catch (...) {
        log_error("{}: unknown exception", what);
    }
    return false;
}

EventSource::EventSource() noexcept = default;
EventSource::EventSource(EventSource&&) noexcept = default;
EventSource::EventSource(std::shared_ptr<Context> context) noexcept : context_(std::move(context)) {}
EventSource::~EventSource() {
    reset();
}

EventSource& EventSource::operator=(EventSource&& other) noexcept {
    if (this != &other) {
        reset();
        context_ = std::move(other.context_);
    }
    return *this;
}

sd_event_source* EventSource::get() const noexcept {
    return context_ ? context_->source : nullptr;
}

// A callback that is running keeps its context alive, so that a source may be destroyed from inside.
void EventSource::reset() noexcept {
    if (context_) context_->source = sd_event_source_disable_unref(context_->source);
    context_.reset();
}

void EventSource::enable(bool on) {
    check_event_call(sd_event_source_set_enabled(get(), on ? SD_EVENT_ON : SD_EVENT_OFF), "enable an event source");
}

void EventSource::set_priority(std::int64_t priority) {
    check_event_call(sd_event_source_set_priority(get(), priority), "set the priority of an event source");
}

void EventSource::rearm(std::chrono::microseconds from_now) {
    const auto delay = static_cast<std::uint64_t>(std::max<std::int64_t>(from_now.count(), 0));
    check_event_call(sd_event_source_set_time_relative(get(), delay), "set a timer");
    check_event_call(sd_event_source_set_enabled(get(), SD_EVENT_ONESHOT), "enable a timer");
}

void EventSource::set_io_events(std::uint32_t events) {
    check_event_call(sd_event_source_set_io_events(get(), events), "set the events of a descriptor");
}

}  // namespace coffer
