#pragma once
// What a scrub does now: whatever was longest unproven first; what is due always, and as much more that a run a day
// proves everything in time. Pure.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/clock.h"

namespace coffer::scrub {

struct Item {
    enum class Kind { image, folder } kind = Kind::image;
    std::string name;         // backup ID, or folder below wals/
    WallTime since{};         // the oldest proof in it; of what was never proven, when it came
    std::uint64_t bytes = 0;  // at rest
};

class Rota {
  public:
    // interval: 0 makes everything due.
    Rota(std::vector<Item> items, std::chrono::seconds interval, WallTime now);

    // Longest unproven first.
    [[nodiscard]] const std::vector<Item>& items() const noexcept { return items_; }
    // Would its time have passed before the next run?
    [[nodiscard]] bool due(const Item& item) const noexcept;
    // Bytes that a run proves at least: all of them, spread over the days of the interval but one.
    [[nodiscard]] std::uint64_t share() const noexcept { return share_; }

  private:
    std::vector<Item> items_;
    std::chrono::seconds interval_;
    WallTime now_;
    std::uint64_t share_ = 0;
};

}  // namespace coffer::scrub
