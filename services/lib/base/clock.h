#pragma once
// Time, replaceable in tests.
#include <chrono>

namespace coffer {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock>;

class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual WallTime now() const {
        return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    }
    [[nodiscard]] virtual MonotonicTime monotonic() const { return std::chrono::steady_clock::now(); }
};

}  // namespace coffer
