#include "streamer/manager_object.h"

#include "streamer/manager.h"

namespace coffer::streamer {

void declare_manager(bus::BusObject& object, const ManagerHandlers& handlers) {
    object.method("ListServers", {}, {"servers"}, bus::Access::read, handlers.list_servers);
    object.method("Reload", {"flags"}, {}, bus::Access::act, [reload = handlers.reload](std::uint64_t flags) {
        if (flags != 0) throw Error(ErrorCode::invalid_argument, "unknown flags", std::to_string(flags));
        reload();
    });
    object.property("Version", bus::Emits::constant, [] { return std::string(COFFER_VERSION); });
    object.property("ConfigErrors", bus::Emits::change, handlers.config_errors);
}

std::string introspection() {
    const Clock clock;
    bus::BusObject manager(root_path, "org.pgcoffer.Streamer1.Manager");
    declare_manager(manager, {});
    bus::BusObject server(servers_path, "org.pgcoffer.Streamer1.Server");
    ServerObject::declare(server, {}, clock);
    return bus::introspection_document({&manager, &server});
}

}  // namespace coffer::streamer
