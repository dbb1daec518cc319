#include "streamer/server_object.h"

namespace coffer::streamer {
namespace {

std::uint64_t usec_of(const std::optional<WallTime>& time) {
    return time ? static_cast<std::uint64_t>(time->time_since_epoch().count()) : 0;
}

std::uint64_t exposure_of(const ReceiverStatus& status, const Clock& clock) {
    if (!status.exposed_since) return 0;
    const auto age = clock.monotonic() - *status.exposed_since;
    return age.count() <= 0
               ? 0
               : static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(age).count());
}

std::tuple<std::string, std::string> error_of(const ReceiverStatus& status) {
    if (!status.last_error) return {};
    return {std::string(bus_name_of(status.last_error->code())), status.last_error->full_text()};
}

void refuse_flags(std::uint64_t flags) {
    if (flags != 0) throw Error(ErrorCode::invalid_argument, "unknown flags", std::to_string(flags));
}

void declare_methods(bus::BusObject& object, const ServerObject::Handlers& handlers) {
    const auto method = [&object](const char* name, std::function<void()> action) {
        object.method(name, {"flags"}, {}, bus::Access::act, [action = std::move(action)](std::uint64_t flags) {
            refuse_flags(flags);
            action();
        });
    };
    method("Start", handlers.start);
    method("Stop", handlers.stop);
    method("Restart", handlers.restart);
}

}  // namespace

void ServerObject::declare(bus::BusObject& object, const Handlers& handlers, const Clock& clock) {
    using bus::Emits;
    declare_methods(object, handlers);
    const auto status = handlers.status;
    const auto property = [&](const char* name, Emits emits, auto value_of) {
        object.property(name, emits, [status, value_of] { return value_of(status()); });
    };
    property("State", Emits::change, [](const ReceiverStatus& s) { return std::string(name_of(s.state)); });
    object.property("SlotName", Emits::constant, handlers.slot_name);
    property("Timeline", Emits::change, [](const ReceiverStatus& s) { return s.timeline; });
    property("SystemId", Emits::change, [](const ReceiverStatus& s) { return std::to_string(s.system_identifier); });
    property("ReceivedLsn", Emits::change, [](const ReceiverStatus& s) { return s.received.to_string(); });
    property("DurableLsn", Emits::change, [](const ReceiverStatus& s) { return s.durable.to_string(); });
    property("ServerLsn", Emits::change, [](const ReceiverStatus& s) { return s.server.to_string(); });
    property("LagBytes", Emits::change, [](const ReceiverStatus& s) {
        return s.server > s.durable ? s.server.value - s.durable.value : std::uint64_t{0};
    });
    property("ExposureUSec", Emits::none, [&clock](const ReceiverStatus& s) { return exposure_of(s, clock); });
    property("LastMessageUSec", Emits::none, [](const ReceiverStatus& s) { return usec_of(s.last_message); });
    property("ConnectedSinceUSec", Emits::change, [](const ReceiverStatus& s) { return usec_of(s.connected_since); });
    property("Reconnects", Emits::change, [](const ReceiverStatus& s) { return s.reconnects; });
    property("Syncs", Emits::none, [](const ReceiverStatus& s) { return s.syncs; });
    property("ReceivedBytes", Emits::none, [](const ReceiverStatus& s) { return s.bytes; });
    property("LastError", Emits::change, error_of);
    property("LastGap", Emits::change, [](const ReceiverStatus& s) { return s.last_gap; });
    object.signal<std::string, std::uint32_t, std::uint64_t>("SegmentCompleted", {"segment", "timeline", "size"});
}

ServerObject::ServerObject(bus::Bus& bus, const std::string& server, Handlers handlers, const Clock& clock)
    : handlers_(std::move(handlers)),
      object_(bus::encode_path(servers_path, server).value, "org.pgcoffer.Streamer1.Server") {
    declare(object_, handlers_, clock);
    object_.publish(bus);
}

void ServerObject::state_changed() {
    object_.changed({"State", "Timeline", "SystemId", "ConnectedSinceUSec", "Reconnects", "LastError", "LastGap"});
}

void ServerObject::heartbeat() {
    const ReceiverStatus status = handlers_.status();
    if (status.durable == last_durable_ && status.server == last_server_) return;
    last_durable_ = status.durable;
    last_server_ = status.server;
    object_.changed({"ReceivedLsn", "DurableLsn", "ServerLsn", "LagBytes"});
}

}  // namespace coffer::streamer
