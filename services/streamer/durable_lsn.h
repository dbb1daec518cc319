#pragma once
// "Everything up to here is on our disk": a position that only a finished sync can make.
//
// The server lets a commit return when it is told such a position, so nothing else may turn into one: no received byte,
// no written byte, no arithmetic. Only SegmentFile, which calls fdatasync, constructs it. Plain value.
#include <compare>

#include "lib/base/lsn.h"

namespace coffer::streamer {

class DurableLsn {
  public:
    constexpr DurableLsn() noexcept = default;  // nothing is durable yet
    [[nodiscard]] constexpr Lsn lsn() const noexcept { return lsn_; }
    constexpr auto operator<=>(const DurableLsn&) const = default;

  private:
    friend class SegmentFile;
    explicit constexpr DurableLsn(Lsn lsn) noexcept : lsn_(lsn) {}
    Lsn lsn_;
};

}  // namespace coffer::streamer
