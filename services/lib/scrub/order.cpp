#include "lib/scrub/order.h"

#include <algorithm>
#include <tuple>

namespace coffer::scrub {
namespace {

constexpr std::chrono::seconds between_runs = std::chrono::days(1);

}  // namespace

Rota::Rota(std::vector<Item> items, std::chrono::seconds interval, WallTime now)
    : items_(std::move(items)), interval_(interval), now_(now) {
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
        return std::tie(a.since, a.kind, a.name) < std::tie(b.since, b.kind, b.name);
    });
    std::uint64_t total = 0;
    for (const Item& item : items_) total += item.bytes;
    const auto runs = static_cast<std::uint64_t>(std::max<std::int64_t>(1, interval / between_runs - 1));
    share_ = (total + runs - 1) / runs;
}

bool Rota::due(const Item& item) const noexcept {
    return interval_.count() == 0 || item.since + interval_ <= now_ + between_runs;
}

}  // namespace coffer::scrub
