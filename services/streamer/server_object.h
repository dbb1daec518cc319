#pragma once
// One server on the bus: org.pgcoffer.Streamer1.Server. Loop thread only.
#include <functional>

#include "lib/base/clock.h"
#include "lib/bus/bus_object.h"
#include "streamer/receiver_status.h"

namespace coffer::streamer {

inline constexpr const char* bus_name = "org.pgcoffer.Streamer1";
inline constexpr const char* root_path = "/org/pgcoffer/Streamer1";
inline constexpr const char* servers_path = "/org/pgcoffer/Streamer1/server";

class ServerObject {
  public:
    // What the object asks of the manager.
    struct Handlers {
        std::function<ReceiverStatus()> status;
        std::function<std::string()> slot_name;
        std::function<void()> start;
        std::function<void()> stop;
        std::function<void()> restart;
    };
    ServerObject(bus::Bus& bus, const std::string& server, Handlers handlers, const Clock& clock);

    static void declare(bus::BusObject& object, const Handlers& handlers, const Clock& clock);

    void state_changed();
    // Emits what moves all the time, when it moved since the last call.
    void heartbeat();
    void completed(const SegmentCompleted& segment) {
        object_.emit("SegmentCompleted", segment.segment, segment.timeline, segment.size);
    }
    [[nodiscard]] const std::string& path() const noexcept { return object_.path(); }

  private:
    Handlers handlers_;
    bus::BusObject object_;
    Lsn last_durable_;
    Lsn last_server_;
};

}  // namespace coffer::streamer
