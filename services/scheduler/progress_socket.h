#pragma once
// The datagram socket RUNTIME_DIR/progress.sock on which jobs tell how they get on. Loop thread only.
#include <functional>
#include <string_view>

#include "lib/base/files.h"
#include "lib/event/event_loop.h"

namespace coffer::scheduler {

class ProgressSocket {
  public:
    // sender: the process that sent it, vouched for by the kernel.
    using Receive = std::function<void(pid_t sender, std::string_view datagram)>;

    // Takes the place of a socket that an earlier scheduler left.
    ProgressSocket(EventLoop& loop, Path path, Receive receive);
    ~ProgressSocket();
    ProgressSocket(const ProgressSocket&) = delete;
    ProgressSocket& operator=(const ProgressSocket&) = delete;

    [[nodiscard]] const Path& path() const noexcept { return path_; }
    // Takes what has arrived up to now, without waiting: before the end of a job is judged.
    void drain();

  private:
    Path path_;
    Receive receive_;
    UniqueFd fd_;
    EventSource source_;
};

}  // namespace coffer::scheduler
