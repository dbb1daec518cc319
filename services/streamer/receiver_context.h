#pragma once
// What the parts of one receiver share. Belongs to the receiver's thread, but for the board and stop_fd.
#include <poll.h>

#include <functional>

#include "lib/config/config.h"
#include "streamer/doubts.h"
#include "streamer/exposure.h"
#include "streamer/preallocator.h"
#include "streamer/receiver_status.h"

namespace coffer::streamer {

struct ReceiverContext {
    const config::Server& server;
    Preallocator& preallocator;
    const Clock& clock;
    StatusBoard& board;
    int stop_fd;
    std::function<void(ReceiverEvent)> notify;  // thread-safe, never blocks
    ExposureMeter exposure;

    Doubts doubts = {};
    bool told_of_no_room = false;  // in the log, since there last was room

    void set_state(ReceiverState state) {
        bool changed = false;
        board.update([&](ReceiverStatus& status) {
            changed = status.state != state;
            status.state = state;
            status.exposed_since = exposure.exposed_since();
        });
        if (changed) notify(StateChanged{});
    }
    void set_error(const Error& error) {
        board.update([&](ReceiverStatus& status) { status.last_error = error; });
    }
    // False when told to stop meanwhile.
    [[nodiscard]] bool pause(std::chrono::milliseconds duration) const {
        pollfd stop{stop_fd, POLLIN, 0};
        return ::poll(&stop, 1, static_cast<int>(duration.count())) <= 0;
    }
};

}  // namespace coffer::streamer
