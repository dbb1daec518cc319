#include "streamer/exposure.h"

#include <algorithm>

namespace coffer::streamer {

void ExposureMeter::heard(Lsn server_end, MonotonicTime now) {
    if (!connected_) return;
    if (server_end > durable_end_ && (behind_.empty() || server_end > behind_.back().server_end)) {
        // Full: two neighbours become one, with the later position and the earlier time, so that age is never too
        // small.
        if (behind_.size() >= most_samples) {
            behind_[1].first_heard = behind_[0].first_heard;
            behind_.pop_front();
        }
        behind_.push_back({server_end, now});
    }
    settle(now);
}

void ExposureMeter::durable(Lsn durable_end, MonotonicTime now) {
    durable_end_ = std::max(durable_end_, durable_end);
    settle(now);
}

void ExposureMeter::settle(MonotonicTime now) {
    while (!behind_.empty() && behind_.front().server_end <= durable_end_) behind_.pop_front();
    if (connected_ && behind_.empty()) all_durable_at_ = now;
}

void ExposureMeter::connected(Lsn server_end, Lsn durable_end, MonotonicTime now) {
    connected_ = true;
    durable_end_ = durable_end;
    behind_.clear();
    if (server_end > durable_end) behind_.push_back({server_end, all_durable_at_});
    settle(now);
}

void ExposureMeter::disconnected() noexcept {
    if (connected_ && !behind_.empty()) all_durable_at_ = std::max(all_durable_at_, behind_.front().first_heard);
    connected_ = false;
    behind_.clear();
}

std::optional<MonotonicTime> ExposureMeter::exposed_since() const {
    if (!connected_) return all_durable_at_;
    if (behind_.empty()) return std::nullopt;
    return behind_.front().first_heard;
}

std::chrono::microseconds ExposureMeter::exposure(MonotonicTime now) const {
    const auto since = exposed_since();
    if (!since || *since > now) return std::chrono::microseconds(0);
    return std::chrono::duration_cast<std::chrono::microseconds>(now - *since);
}

}  // namespace coffer::streamer
