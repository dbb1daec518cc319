#pragma once
// Slows a backup while the server's own work suffers from it (backup_politeness; the decision is
// lib/pace/politeness.h).
//
// A thread with a connection of its own looks once a second: it commits a message that nobody reads (a few dozen bytes
// of WAL; not on a standby), and asks how far standbys are behind. The thread that copies tells how much it got, and
// pauses: the server then waits for the network, and reads no more. What cannot be looked at (no right, no connection)
// is said once, and is no reason to slow down; a commit that does not return is the best of reasons.
#include <atomic>
#include <memory>
#include <thread>

#include "lib/base/clock.h"
#include "lib/base/unique_fd.h"
#include "lib/config/config.h"
#include "lib/pace/politeness.h"
#include "lib/pace/throttle.h"
#include "lib/pg/conn.h"

namespace coffer::job {

class ServerWatch {
  public:
    // Connects and learns what is usual, unless backup_politeness is off. in_recovery: the server is a standby. stop_fd
    // ends pauses (canceled is thrown).
    ServerWatch(const config::Server& server, bool in_recovery, int stop_fd);
    ServerWatch(const ServerWatch&) = delete;
    ServerWatch& operator=(const ServerWatch&) = delete;
    ~ServerWatch();

    // Begins to look.
    void start();
    // The copying thread: so many bytes altogether. Pauses where that was too fast.
    void received(std::uint64_t total);
    // How long the copy was slowed down so far, in seconds.
    [[nodiscard]] double slowed_seconds() const noexcept { return slowed_seconds_; }

  private:
    void connect();
    pace::Sample look();
    void look_at_commit(pace::Sample& sample);
    void look_at_lag(pace::Sample& sample);
    void watch() noexcept;
    void watch_until_end();
    void tell(std::uint64_t before) const;

    const config::Server& server_;
    const bool in_recovery_;
    UniqueFd end_;
    pg::PgConn conn_;
    pace::Sample usual_;
    bool may_commit_ = true;
    bool complained_ = false;
    Clock clock_;
    pace::Throttle throttle_;
    double slowed_seconds_ = 0;
    std::atomic<std::uint64_t> received_ = 0;
    std::atomic<std::uint64_t> rate_ = 0;
    std::unique_ptr<pace::Politeness> politeness_;
    std::thread thread_;
};

}  // namespace coffer::job
