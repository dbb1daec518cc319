#pragma once
// How exposed a server is: the age of the oldest WAL that it has and that is not durable here.
//
// While the connection is up, the server tells with each message how far it is; from the time at which a position was
// first heard of follows the age of what is missing. While it is down, nobody knows what the server does: then it is
// the time since we last knew that everything was here, an upper bound; so it is when the server owes an answer. Not
// thread-safe: belongs to the receiver; times are passed in.
//
// Memory is bounded: positions heard of within a millisecond count as one, and where there are too many the two are
// merged whose ages differ least for their age. The age is never too small, and too large by a sixth at most.
#include <chrono>
#include <deque>
#include <optional>

#include "lib/base/clock.h"
#include "lib/base/lsn.h"

namespace coffer::streamer {

class ExposureMeter {
  public:
    // known_durable_at: when everything was last known to be here, as far as that can be told at the start.
    explicit ExposureMeter(MonotonicTime known_durable_at) noexcept : all_durable_at_(known_durable_at) {}

    // The server said that its WAL ends at server_end.
    void heard(Lsn server_end, MonotonicTime now);
    void durable(Lsn durable_end);
    // An answer is overdue: nobody knows what the server has done since it was last heard.
    void silent() noexcept { silent_ = connected_; }
    // Another timeline or position: what was heard before does not count.
    void connected(Lsn server_end, Lsn durable_end, MonotonicTime now);
    void disconnected() noexcept;

    [[nodiscard]] std::chrono::microseconds exposure(MonotonicTime now) const;
    // The moment from which the exposure counts; nullopt when there is none. For publishing: the age grows by itself.
    [[nodiscard]] std::optional<MonotonicTime> exposed_since() const;

  private:
    struct Sample {
        Lsn server_end;
        MonotonicTime first_heard;
        MonotonicTime last_heard;  // when server_end itself was
    };
    static constexpr std::size_t most_samples = 256;
    void settle();
    void merge(MonotonicTime now);

    std::deque<Sample> behind_;  // positions heard of and not durable, oldest first
    MonotonicTime all_durable_at_;
    MonotonicTime heard_at_;
    Lsn durable_end_;
    bool connected_ = false;
    bool silent_ = false;
};

}  // namespace coffer::streamer
