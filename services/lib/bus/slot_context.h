#pragma once
// Private to lib/bus: what a callback of sd-bus gets as its userdata.
#include "lib/bus/bus.h"

namespace coffer::bus {

struct Slot::Context : std::enable_shared_from_this<Slot::Context> {
    sd_bus_slot* slot = nullptr;
    std::string peer;
    std::function<void(const Reply&)> reply;
    std::function<void(Message&)> signal;
    Slot extra;  // a second watch that lives as long

    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() { sd_bus_slot_unref(slot); }
};

}  // namespace coffer::bus
