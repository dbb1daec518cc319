#include "lib/bus/bus_object.h"

#include <cstring>

#include "lib/base/log.h"
#include "lib/bus/authorisation.h"
#include "lib/bus/bus_error.h"
#include "lib/bus/bus_object_impl.h"

namespace coffer::bus {
namespace {

using Impl = BusObject::Impl;

std::shared_ptr<Impl> impl_of(void* userdata) {
    return static_cast<Impl*>(userdata)->shared_from_this();
}

// The border between C and C++ for all methods: sd-bus has checked the signature.
int method_trampoline(sd_bus_message* raw, void* userdata, sd_bus_error* error) noexcept {
    try {
        const std::shared_ptr<Impl> impl = impl_of(userdata);
        Message call(raw);
        const Method& method = impl->methods.at(call.member());
        if (method.access == Access::act) require_acting_caller(call);
        if (method.later) {
            method.handler(call, nullptr);
            return 1;
        }
        sd_bus_message* reply_raw = nullptr;
        check_bus_call(sd_bus_message_new_method_return(raw, &reply_raw), "make a reply");
        Message reply = Message::adopt(reply_raw);
        method.handler(call, &reply);
        const int sent = sd_bus_message_send(reply.get());
        if (sent < 0) log_debug("bus: a reply could not be sent ({})", std::strerror(-sent));  // the caller is gone
        return 1;
    } catch (...) {
        return set_from_current_exception(error);
    }
}

int get_trampoline(sd_bus*, const char*, const char*, const char* name, sd_bus_message* raw, void* userdata,
                   sd_bus_error* error) noexcept {
    try {
        const std::shared_ptr<Impl> impl = impl_of(userdata);
        Message reply(raw);
        impl->properties.at(name).get(reply);
        return 1;
    } catch (...) {
        return set_from_current_exception(error);
    }
}

int set_trampoline(sd_bus*, const char*, const char*, const char* name, sd_bus_message* raw, void* userdata,
                   sd_bus_error* error) noexcept {
    try {
        const std::shared_ptr<Impl> impl = impl_of(userdata);
        Message value(raw);
        require_acting_caller(value);
        impl->properties.at(name).set(value);
        return 1;
    } catch (...) {
        return set_from_current_exception(error);
    }
}

std::uint64_t flags_of(Emits emits) {
    switch (emits) {
        case Emits::constant:
            return SD_BUS_VTABLE_PROPERTY_CONST;
        case Emits::change:
            return SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE;
        case Emits::none:
            return 0;
    }
    return 0;
}

sd_bus_vtable row(std::uint8_t type, std::uint64_t flags) {
    sd_bus_vtable entry;
    std::memset(&entry, 0, sizeof entry);  // sd-bus looks at the whole union
    entry.type = type;
    entry.flags = flags & ((1ULL << 56) - 1);
    return entry;
}

}  // namespace

std::string zero_terminated(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += name + '\0';
    return all;
}

void Impl::build_vtable() {
    sd_bus_vtable start = row(_SD_BUS_VTABLE_START, 0);
    start.x.start = {sizeof(sd_bus_vtable), _SD_BUS_VTABLE_PARAM_NAMES, &sd_bus_object_vtable_format};
    vtable.push_back(start);
    for (const auto& [name, method] : methods) {
        // Who may act is decided by require_acting_caller(), which knows our group; sd-bus knows root and our uid only.
        sd_bus_vtable entry = row(_SD_BUS_VTABLE_METHOD, SD_BUS_VTABLE_UNPRIVILEGED);
        entry.x.method = {name.c_str(),        method.in.c_str(), method.out.c_str(), method_trampoline, 0,
                          method.names.c_str()};
        vtable.push_back(entry);
    }
    for (const auto& [name, signal] : signals) {
        sd_bus_vtable entry = row(_SD_BUS_VTABLE_SIGNAL, 0);
        entry.x.signal = {name.c_str(), signal.signature.c_str(), signal.names.c_str()};
        vtable.push_back(entry);
    }
    for (const auto& [name, property] : properties) {
        const bool writable = static_cast<bool>(property.set);
        sd_bus_vtable entry =
            row(writable ? _SD_BUS_VTABLE_WRITABLE_PROPERTY : _SD_BUS_VTABLE_PROPERTY,
                flags_of(property.emits) | (writable ? std::uint64_t{SD_BUS_VTABLE_UNPRIVILEGED} : 0));
        entry.x.property = {name.c_str(), property.type.c_str(), get_trampoline, writable ? set_trampoline : nullptr,
                            0};
        vtable.push_back(entry);
    }
    vtable.push_back(row(_SD_BUS_VTABLE_END, 0));
}

Impl::~Impl() {
    withdraw();
}

void Impl::withdraw() noexcept {
    if (slot == nullptr) return;
    sd_bus_emit_object_removed(bus, path.c_str());  // fails where no ObjectManager is above: nobody to tell then
    slot = sd_bus_slot_unref(slot);
    bus = sd_bus_unref(bus);
}

BusObject::BusObject(std::string path, std::string interface) : impl_(std::make_shared<Impl>()) {
    impl_->path = std::move(path);
    impl_->interface = std::move(interface);
}
BusObject::BusObject(BusObject&&) noexcept = default;
BusObject::~BusObject() {
    if (impl_) impl_->withdraw();
}
BusObject& BusObject::operator=(BusObject&& other) noexcept {
    if (this != &other) {
        if (impl_) impl_->withdraw();
        impl_ = std::move(other.impl_);
    }
    return *this;
}

void BusObject::add_method(const std::string& name, std::string in, Names inputs, std::string out, Names outputs,
                           Access access, bool later, RawHandler handler) {
    Method method{std::move(in), std::move(out),    zero_terminated(inputs) + zero_terminated(outputs),
                  inputs,        outputs,           access,
                  later,         std::move(handler)};
    impl_->methods.insert_or_assign(name, std::move(method));
}

void BusObject::add_property(const std::string& name, std::string type, Emits emits, std::function<void(Message&)> get,
                             std::function<void(Message&)> set) {
    impl_->properties.insert_or_assign(name, Property{std::move(type), emits, std::move(get), std::move(set)});
}

void BusObject::add_signal(const std::string& name, std::string signature, Names names) {
    impl_->signals.insert_or_assign(name, Signal{std::move(signature), zero_terminated(names), names});
}

void BusObject::publish(Bus& bus) {
    impl_->build_vtable();
    check_bus_call(sd_bus_add_object_vtable(bus.get(), &impl_->slot, impl_->path.c_str(), impl_->interface.c_str(),
                                            impl_->vtable.data(), impl_.get()),
                   "publish an object", impl_->path + " " + impl_->interface);
    impl_->bus = sd_bus_ref(bus.get());
    sd_bus_emit_object_added(impl_->bus,
                             impl_->path.c_str());  // fails where no ObjectManager is above: nobody to tell then
}

void BusObject::changed(const Names& names) noexcept {
    if (!published() || names.empty()) return;
    std::vector<char*> list;
    for (const std::string& name : names) list.push_back(const_cast<char*>(name.c_str()));  // sd-bus does not write
    list.push_back(nullptr);
    const int result =
        sd_bus_emit_properties_changed_strv(impl_->bus, impl_->path.c_str(), impl_->interface.c_str(), list.data());
    if (result < 0) log_warning("bus: change of {} not announced ({})", impl_->path, std::strerror(-result));
}

bool BusObject::published() const noexcept {
    return impl_ && impl_->slot != nullptr;
}
const std::string& BusObject::path() const noexcept {
    return impl_->path;
}

Message BusObject::new_signal(const std::string& name) const {
    sd_bus_message* raw = nullptr;
    check_bus_call(
        sd_bus_message_new_signal(impl_->bus, &raw, impl_->path.c_str(), impl_->interface.c_str(), name.c_str()),
        "make a signal", name);
    return Message::adopt(raw);
}

void BusObject::send_signal(const Message& message) {
    check_bus_call(sd_bus_send(impl_->bus, message.get(), nullptr), "send a signal", message.member());
}

}  // namespace coffer::bus
