#pragma once
// Protects one server: a thread that connects, finds out where to go on, streams, and does so again for ever.
//
// One thread per server, so that none can hold up another; it sleeps in poll() and has a small stack. It comes back at
// once after a broken connection, then with growing pauses of at most a second. What only a person can mend (state
// "failed") is tried again every ten seconds. Made, started, stopped and destroyed by the loop thread.
#include <pthread.h>

#include <memory>

#include "streamer/receiver_context.h"

namespace coffer::streamer {

class Receiver {
  public:
    struct Environment {
        Preallocator& preallocator;
        const Clock& clock;
        // Called by the receiver's thread; ReceiverEnded is the last event.
        std::function<void(ReceiverEvent)> notify;
    };
    Receiver(config::Server server, Environment environment);
    ~Receiver();  // stops and waits
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    void start();
    // What was received is made durable and acknowledged, then the thread ends (ReceiverEnded). Returns at once.
    void request_stop() noexcept;

    [[nodiscard]] const config::Server& server() const noexcept { return server_; }
    [[nodiscard]] ReceiverStatus status() const { return board_.read(); }

  private:
    static void* thread_main(void* self) noexcept;
    void run();

    config::Server server_;
    Environment environment_;
    UniqueFd stop_fd_;
    StatusBoard board_;
    pthread_t thread_{};
    bool running_ = false;
};

}  // namespace coffer::streamer
