#pragma once
// Private to lib/bus: what a BusObject consists of. Names and signatures live here, for sd-bus keeps pointers to them.
#include <map>

#include "lib/bus/bus_object.h"

namespace coffer::bus {

struct Method {
    std::string in;
    std::string out;
    std::string names;  // of inputs, then outputs, each with a zero behind it
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    Access access = Access::act;
    bool later = false;
    std::function<void(Message&, Message*)> handler;
};

struct Property {
    std::string type;
    Emits emits = Emits::none;
    std::function<void(Message&)> get;
    std::function<void(Message&)> set;
};

struct Signal {
    std::string signature;
    std::string names;
    std::vector<std::string> arguments;
};

struct BusObject::Impl : std::enable_shared_from_this<BusObject::Impl> {
    std::string path;
    std::string interface;
    std::map<std::string, Method, std::less<>> methods;
    std::map<std::string, Property, std::less<>> properties;
    std::map<std::string, Signal, std::less<>> signals;
    std::vector<sd_bus_vtable> vtable;
    sd_bus* bus = nullptr;
    sd_bus_slot* slot = nullptr;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl();
    void build_vtable();
    void withdraw() noexcept;
};

}  // namespace coffer::bus
