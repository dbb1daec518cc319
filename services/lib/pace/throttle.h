#pragma once
// Keeps reading below a rate, so that others get the disk or the network. One thread.
#include <chrono>
#include <cstdint>
#include <functional>

#include "lib/base/clock.h"

namespace coffer::pace {

class Throttle {
  public:
    // rate: bytes a second, 0 for no limit. pause: waits so long; may throw. clock must outlive it.
    using Pause = std::function<void(std::chrono::microseconds)>;
    Throttle(std::uint64_t rate, const Clock& clock, Pause pause);
    // So much was read: pauses where that was faster than the rate. Time that was not used is not made up for.
    void took(std::uint64_t bytes);
    // From the next bytes on.
    void set_rate(std::uint64_t rate) noexcept { rate_ = rate; }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

  private:
    std::uint64_t rate_;
    const Clock& clock_;
    const Pause pause_;
    MonotonicTime free_at_;  // when what was taken so far is within the rate
    std::uint64_t total_ = 0;
};

}  // namespace coffer::pace
