#pragma once
// org.pgcoffer.Streamer1.Manager at the root of the streamer's objects. Loop thread only.
#include <functional>
#include <tuple>
#include <vector>

#include "lib/bus/bus_object.h"

namespace coffer::streamer {

struct ManagerHandlers {
    using Listed = std::vector<std::tuple<std::string, bus::ObjectPath, std::string>>;
    std::function<Listed()> list_servers;  // name, object, state
    std::function<void()> reload;
    using ConfigError = std::tuple<std::string, std::uint32_t, std::string>;  // file, line (0: all of it), text
    std::function<std::vector<ConfigError>()> config_errors;
};

void declare_manager(bus::BusObject& object, const ManagerHandlers& handlers);

}  // namespace coffer::streamer
