#include "streamer/exposure.h"

#include <algorithm>

namespace coffer::streamer {
namespace {

constexpr std::chrono::milliseconds one_moment{1};

}  // namespace

void ExposureMeter::heard(Lsn server_end, MonotonicTime now) {
    if (!connected_) return;
    // Behind a silence it may be as old as that.
    const MonotonicTime since = silent_ ? heard_at_ : now;
    heard_at_ = now;
    silent_ = false;
    if (server_end > durable_end_ && (behind_.empty() || server_end > behind_.back().server_end)) {
        if (!behind_.empty() && now - behind_.back().first_heard < one_moment) {
            behind_.back().server_end = server_end;
            behind_.back().last_heard = now;
        } else {
            if (behind_.size() >= most_samples) merge(now);
            behind_.push_back({server_end, since, now});
        }
    }
    settle();
}

// Two neighbours become one, with the later position and the earlier time: those two of which this makes the age of the
// later least wrong, as a ratio. Ages between a millisecond and a day that are told apart by 256 samples leave a pair
// for which that is below 1.16; and it falls as the sample grows older.
void ExposureMeter::merge(MonotonicTime now) {
    const auto age = [now](MonotonicTime since) {
        return static_cast<double>(std::max((now - since).count(), MonotonicTime::rep{1}));
    };
    std::size_t best = 0;
    double least = age(behind_[0].first_heard) / age(behind_[1].last_heard);
    for (std::size_t n = 1; n + 1 < behind_.size(); ++n) {
        const double ratio = age(behind_[n].first_heard) / age(behind_[n + 1].last_heard);
        if (ratio >= least) continue;
        least = ratio;
        best = n;
    }
    behind_[best + 1].first_heard = behind_[best].first_heard;
    behind_.erase(behind_.begin() + static_cast<std::ptrdiff_t>(best));
}

void ExposureMeter::durable(Lsn durable_end) {
    durable_end_ = std::max(durable_end_, durable_end);
    settle();
}

void ExposureMeter::settle() {
    while (!behind_.empty() && behind_.front().server_end <= durable_end_) behind_.pop_front();
    if (connected_ && behind_.empty()) all_durable_at_ = heard_at_;
}

void ExposureMeter::connected(Lsn server_end, Lsn durable_end, MonotonicTime now) {
    connected_ = true;
    silent_ = false;
    heard_at_ = now;
    durable_end_ = durable_end;
    behind_.clear();
    if (server_end > durable_end) behind_.push_back({server_end, all_durable_at_, all_durable_at_});
    settle();
}

void ExposureMeter::disconnected() noexcept {
    if (connected_ && !behind_.empty()) all_durable_at_ = std::max(all_durable_at_, behind_.front().first_heard);
    connected_ = false;
    silent_ = false;
    behind_.clear();
}

std::optional<MonotonicTime> ExposureMeter::exposed_since() const {
    if (!connected_) return all_durable_at_;
    if (!behind_.empty()) return std::min(behind_.front().first_heard, heard_at_);
    return silent_ ? std::optional(heard_at_) : std::nullopt;
}

std::chrono::microseconds ExposureMeter::exposure(MonotonicTime now) const {
    const auto since = exposed_since();
    if (!since || *since > now) return std::chrono::microseconds(0);
    return std::chrono::duration_cast<std::chrono::microseconds>(now - *since);
}

}  // namespace coffer::streamer
