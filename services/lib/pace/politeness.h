#pragma once
// How fast a backup may read while the server's users are served: the decision, without a connection or a thread.
//
// What is watched is what a backup can spoil: how long a commit takes, and how far standbys are behind. Both are
// compared with what was usual before the backup began to read, so that a slow disk or a far standby is no reason by
// itself. Above the tolerance the speed is halved with each look, below it grows by a fifth: the way in which TCP
// shares a link. It never falls below a floor, for a backup that never ends protects nobody. One thread.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer::pace {

enum class Manners { off, low, medium, high };

std::optional<Manners> manners_named(std::string_view name) noexcept;
std::string_view name_of(Manners manners) noexcept;

// One look at the server. What could not be seen is nullopt.
struct Sample {
    std::optional<std::chrono::microseconds> commit;  // how long one took
    std::optional<std::chrono::microseconds> lag;     // of the standby that is furthest behind
    std::optional<std::uint64_t> lag_bytes;           // of WAL
};

// How much more than usual is borne, and how slow a backup may become.
struct Tolerance {
    double commit_factor = 1;
    std::chrono::microseconds commit, lag;  // beyond the factor, and beyond what is usual
    std::uint64_t lag_bytes = 0;
    std::uint64_t floor = 0;  // bytes a second
};
Tolerance tolerance_of(Manners manners) noexcept;

class Politeness {
  public:
    // usual: before the backup reads; the best of several looks.
    Politeness(Manners manners, const Sample& usual);

    // A look while the backup reads, and how fast it read since the one before (bytes a second). The rate from now on,
    // 0 for as fast as it goes.
    std::uint64_t look(const Sample& sample, std::uint64_t speed);
    [[nodiscard]] std::uint64_t rate() const noexcept { return rate_; }
    // What the last look found too much, for people: "a commit takes 250 ms (usually 2 ms)"; empty when nothing was.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  private:
    [[nodiscard]] std::string too_much(const Sample& sample) const;

    const Tolerance tolerance_;
    const Sample usual_;
    std::uint64_t rate_ = 0;
    std::string reason_;
};

// The smaller of each, where known: what is usual is what was seen without a disturbance.
Sample best_of(const Sample& a, const Sample& b);

}  // namespace coffer::pace
