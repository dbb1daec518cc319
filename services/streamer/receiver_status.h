#pragma once
// What one receiver tells of itself: written by its thread, read by the loop thread. The lock is held for a copy only.
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/lsn.h"

namespace coffer::streamer {

enum class ReceiverState { stopped, connecting, streaming, waiting, no_space, failed };
// "stopped", "connecting", "streaming", "waiting" (tries again by itself), "no-space", "failed" (needs a person).
std::string_view name_of(ReceiverState state) noexcept;

struct ReceiverStatus {
    ReceiverState state = ReceiverState::stopped;
    TimelineId timeline = 0;
    std::uint64_t system_identifier = 0;
    Lsn received;  // written to the file
    Lsn durable;   // and synced
    Lsn server;    // the end of WAL on the server when last heard
    std::optional<MonotonicTime> exposed_since;
    std::optional<WallTime> last_message;
    std::optional<WallTime> connected_since;
    std::uint64_t reconnects = 0;
    std::uint64_t syncs = 0;
    std::uint64_t bytes = 0;
    std::optional<Error> last_error;  // none while all is well
    std::string last_gap;
};

class StatusBoard {
  public:
    [[nodiscard]] ReceiverStatus read() const {
        const std::lock_guard lock(mutex_);
        return status_;
    }
    template <typename Change>
    void update(Change change) {
        const std::lock_guard lock(mutex_);
        change(status_);
    }

  private:
    mutable std::mutex mutex_;
    ReceiverStatus status_;
};

// What a receiver's thread reports when it happens.
struct StateChanged {};
struct SegmentCompleted {
    std::string segment;
    TimelineId timeline = 0;
    std::uint64_t size = 0;
};
struct ReceiverEnded {};  // the last one; the thread can be joined without waiting
using ReceiverEvent = std::variant<StateChanged, SegmentCompleted, ReceiverEnded>;

}  // namespace coffer::streamer
