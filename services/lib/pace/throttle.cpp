#include "lib/pace/throttle.h"

#include <algorithm>

namespace coffer::pace {

Throttle::Throttle(std::uint64_t rate, const Clock& clock, Pause pause)
    : rate_(rate), clock_(clock), pause_(std::move(pause)), free_at_(clock.monotonic()) {}

void Throttle::took(std::uint64_t bytes) {
    total_ += bytes;
    if (rate_ == 0) return;
    const MonotonicTime now = clock_.monotonic();
    const double seconds = static_cast<double>(bytes) / static_cast<double>(rate_);
    free_at_ = std::max(free_at_, now) +
               std::chrono::ceil<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
    const auto wait = std::chrono::ceil<std::chrono::microseconds>(free_at_ - now);
    if (wait >= std::chrono::milliseconds(10)) pause_(wait);
}

}  // namespace coffer::pace
