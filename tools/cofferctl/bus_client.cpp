#include "tools/cofferctl/bus_client.h"

#include <tuple>

namespace coffer::cofferctl {
namespace {

constexpr std::chrono::seconds patience{3};

// One property, with less patience than an operation deserves.
template <typename T>
T ask(bus::Bus& bus, const bus::Target& target, const std::string& name) {
    bus::Message request = bus.new_call({target.service, target.path, "org.freedesktop.DBus.Properties"}, "Get");
    request.append(target.interface, name);
    const bus::Message reply = bus.call(request, patience);
    const std::string contents = bus::signature_of<T>();
    bus::check_bus_call(sd_bus_message_enter_container(reply.get(), 'v', contents.c_str()), "read a property");
    return reply.read<T>();
}

}  // namespace

bus::Bus open_bus() {
    try {
        return bus::Bus::open_system();
    } catch (const Error& error) {
        throw Error(ErrorCode::target_unreachable, error.fact(), error.where(),
                    "start the services of Coffer (systemctl start coffer.target), or set DBUS_SYSTEM_BUS_ADDRESS");
    }
}

bus::Target server_target(const std::string& service, const std::string& server) {
    const std::string prefix = "/org/pgcoffer/" + service + "1/server";
    return {"org.pgcoffer." + service + "1", bus::encode_path(prefix, server).value,
            "org.pgcoffer." + service + "1.Server"};
}

LiveState::LiveState() {
    try {
        bus_ = bus::Bus::open_system();
    } catch (const Error& error) {
        reason_ = error.what();
    }
}

Asked<ReceiverView> LiveState::receiver(const std::string& server) {
    if (!bus_) return {std::nullopt, "streamer not reachable (" + reason_ + ")"};
    try {
        const bus::Target target = server_target("Streamer", server);
        ReceiverView view;
        view.state = ask<std::string>(*bus_, target, "State");
        view.durable_lsn = ask<std::string>(*bus_, target, "DurableLsn");
        view.server_lsn = ask<std::string>(*bus_, target, "ServerLsn");
        view.exposure_usec = ask<std::uint64_t>(*bus_, target, "ExposureUSec");
        view.error = std::get<1>(ask<std::tuple<std::string, std::string>>(*bus_, target, "LastError"));
        return {view, {}};
    } catch (const Error& error) {
        return {std::nullopt, std::string("streamer not reachable (") + error.what() + ")"};
    }
}

Asked<std::string> LiveState::archiver_error(const std::string& server) {
    if (!bus_) return {std::nullopt, "archiver not reachable (" + reason_ + ")"};
    try {
        return {ask<std::string>(*bus_, server_target("Archiver", server), "LastError"), {}};
    } catch (const Error& error) {
        return {std::nullopt, std::string("archiver not reachable (") + error.what() + ")"};
    }
}

}  // namespace coffer::cofferctl
