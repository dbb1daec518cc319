#include "lib/pace/politeness.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace coffer::pace {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view manners_names[] = {"off", "low", "medium", "high"};
constexpr std::uint64_t megabyte = 1'000'000;

std::string in_milliseconds(microseconds time) {
    return fmt::format("{:.1f} ms", static_cast<double>(time.count()) / 1000);
}

template <typename T>
std::optional<T> smaller(const std::optional<T>& a, const std::optional<T>& b) {
    if (!a || !b) return a ? a : b;
    return std::min(*a, *b);
}

}  // namespace

std::optional<Manners> manners_named(std::string_view name) noexcept {
    const auto* found = std::find(std::begin(manners_names), std::end(manners_names), name);
    if (found == std::end(manners_names)) return std::nullopt;
    return static_cast<Manners>(found - std::begin(manners_names));
}

std::string_view name_of(Manners manners) noexcept {
    return manners_names[static_cast<std::size_t>(manners)];
}

Tolerance tolerance_of(Manners manners) noexcept {
    switch (manners) {
        case Manners::high:
            return {2, milliseconds(5), seconds(1), 8 * megabyte, megabyte};
        case Manners::medium:
            return {4, milliseconds(20), seconds(5), 64 * megabyte, 4 * megabyte};
        case Manners::low:
        case Manners::off:
            break;
    }
    return {8, milliseconds(100), seconds(30), 256 * megabyte, 16 * megabyte};
}

Politeness::Politeness(Manners manners, const Sample& usual) : tolerance_(tolerance_of(manners)), usual_(usual) {}

std::string Politeness::too_much(const Sample& sample) const {
    const microseconds commit = usual_.commit.value_or(microseconds(0));
    const auto most = std::chrono::duration_cast<microseconds>(commit * tolerance_.commit_factor) + tolerance_.commit;
    if (sample.commit && *sample.commit > most) {
        return fmt::format("a commit takes {} (usually {})", in_milliseconds(*sample.commit), in_milliseconds(commit));
    }
    const microseconds lag = usual_.lag.value_or(microseconds(0));
    if (sample.lag && *sample.lag > lag + tolerance_.lag) {
        return fmt::format("replication is {} behind (usually {})", in_milliseconds(*sample.lag), in_milliseconds(lag));
    }
    const std::uint64_t bytes = usual_.lag_bytes.value_or(0);
    if (sample.lag_bytes && *sample.lag_bytes > bytes + tolerance_.lag_bytes) {
        return fmt::format("replication is {} MB behind (usually {} MB)", *sample.lag_bytes / megabyte,
                           bytes / megabyte);
    }
    return {};
}

std::uint64_t Politeness::look(const Sample& sample, std::uint64_t speed) {
    reason_ = too_much(sample);
    if (!reason_.empty()) {
        const std::uint64_t from = rate_ == 0 ? speed : std::min(rate_, std::max(speed, tolerance_.floor));
        rate_ = std::max(from / 2, tolerance_.floor);
    } else if (rate_ != 0) {
        rate_ += rate_ / 5;
        // Not the limit any more, but the disk, the network or the server.
        if (rate_ > 4 * std::max(speed, tolerance_.floor)) rate_ = 0;
    }
    return rate_;
}

Sample best_of(const Sample& a, const Sample& b) {
    return {smaller(a.commit, b.commit), smaller(a.lag, b.lag), smaller(a.lag_bytes, b.lag_bytes)};
}

}  // namespace coffer::pace
