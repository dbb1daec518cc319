#pragma once
// Asking the services. Live state is a help, never a condition: what cannot be asked is nullopt with the reason.
#include <optional>
#include <string>

#include "lib/bus/bus.h"

namespace coffer::cofferctl {

// Throws target_unreachable with what to start.
bus::Bus open_bus();
// service: "Streamer", "Archiver"
bus::Target server_target(const std::string& service, const std::string& server);

// What the streamer knows of one server.
struct ReceiverView {
    std::string state;  // "streaming", "connecting", …
    std::string durable_lsn;
    std::string server_lsn;
    std::uint64_t exposure_usec = 0;
    std::string error;
};

// What was found out by asking, or why it was not.
template <typename T>
struct Asked {
    std::optional<T> value;
    std::string reason;  // "streamer not reachable (…)"
};

// One connection for several servers.
class LiveState {
  public:
    LiveState();
    Asked<ReceiverView> receiver(const std::string& server);
    // The archiver's last failure to store a segment; empty for none.
    Asked<std::string> archiver_error(const std::string& server);

  private:
    std::optional<bus::Bus> bus_;
    std::string reason_;
};

}  // namespace coffer::cofferctl
