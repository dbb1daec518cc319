#include "lib/bus/bus.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "lib/bus/bus_error.h"
#include "lib/bus/slot_context.h"

namespace coffer::bus {
namespace {

constexpr char properties_interface[] = "org.freedesktop.DBus.Properties";
const Target bus_daemon{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"};

int reply_trampoline(sd_bus_message* message, void* userdata, sd_bus_error*) noexcept {
    const auto context = static_cast<Slot::Context*>(userdata)->shared_from_this();
    run_guarded("answer from the bus", [&] {
        Reply reply;
        if (const sd_bus_error* error = sd_bus_message_get_error(message)) {
            reply.error = error_from(*error, context->peer);
        } else {
            reply.message = Message(message);
        }
        context->reply(reply);
    });
    return 1;
}

int signal_trampoline(sd_bus_message* message, void* userdata, sd_bus_error*) noexcept {
    const auto context = static_cast<Slot::Context*>(userdata)->shared_from_this();
    run_guarded("signal from the bus", [&] {
        Message received(message);
        context->signal(received);
    });
    return 0;
}

std::string destination_of(const Message& message) {
    const char* destination = sd_bus_message_get_destination(message.get());
    return destination != nullptr ? destination : "";
}

const char* null_if_empty(const std::string& text) {
    return text.empty() ? nullptr : text.c_str();
}

}  // namespace

Slot::Slot() noexcept = default;
Slot::Slot(std::shared_ptr<Context> context) noexcept : context_(std::move(context)) {}
Slot::Slot(Slot&&) noexcept = default;
Slot::~Slot() {
    reset();
}

Slot& Slot::operator=(Slot&& other) noexcept {
    if (this != &other) {
        reset();
        context_ = std::move(other.context_);
    }
    return *this;
}

void Slot::reset() noexcept {
    if (context_) context_->slot = sd_bus_slot_unref(context_->slot);
    context_.reset();
}

void check_bus_call(int result, const char* what, const std::string& where) {
    if (result >= 0) return;
    throw Error(ErrorCode::internal, fmt::format("bus: cannot {} ({})", what, std::strerror(-result)), where);
}

const Message& Reply::value() const {
    if (error) throw *error;
    return message;
}

Bus Bus::open_system() {
    sd_bus* raw = nullptr;
    if (const int result = sd_bus_open_system(&raw); result < 0) {
        const char* address = std::getenv("DBUS_SYSTEM_BUS_ADDRESS");
        throw Error(ErrorCode::target_unreachable,
                    fmt::format("cannot connect to the system bus ({})", std::strerror(-result)),
                    address != nullptr ? address : "", "start the system bus (dbus.service)");
    }
    return Bus(raw);
}

Bus Bus::on_socket(UniqueFd socket, bool server) {
    sd_bus* raw = nullptr;
    check_bus_call(sd_bus_new(&raw), "make a connection");
    Bus bus(raw);
    const int fd = socket.release();
    check_bus_call(sd_bus_set_fd(raw, fd, fd), "use a socket");
    if (server) {
        sd_id128_t id;
        check_bus_call(sd_id128_randomize(&id), "make an id");
        check_bus_call(sd_bus_set_server(raw, 1, id), "serve");
    }
    check_bus_call(sd_bus_set_anonymous(raw, 1), "allow anonymous peers");
    check_bus_call(sd_bus_negotiate_fds(raw, 1), "pass descriptors");
    check_bus_call(sd_bus_start(raw), "start");
    return bus;
}

Bus& Bus::operator=(Bus&& other) noexcept {
    std::swap(bus_, other.bus_);
    return *this;
}

Bus::~Bus() {
    if (bus_ == nullptr) return;
    sd_bus_detach_event(bus_);
    if (sd_bus_is_ready(bus_) > 0) sd_bus_flush(bus_);  // during the handshake it would wait for the peer
    sd_bus_close_unref(bus_);
}

void Bus::attach(EventLoop& loop) {
    check_bus_call(sd_bus_set_exit_on_disconnect(bus_, 1), "watch the connection");
    check_bus_call(sd_bus_attach_event(bus_, loop.get(), SD_EVENT_PRIORITY_NORMAL), "attach to the event loop");
}

void Bus::request_name(const std::string& name) {
    const int result = sd_bus_request_name(bus_, name.c_str(), 0);
    if (result >= 0) return;
    if (result == -EEXIST) {
        throw Error(ErrorCode::busy, "bus name is taken by another process", name,
                    "stop the other instance, or give each its own bus");
    }
    if (result == -EACCES || result == -EPERM) {
        throw Error(ErrorCode::permission_denied, "bus name refused by the policy of the bus", name,
                    "run the service as user coffer; its policy file belongs into /usr/share/dbus-1/system.d, and when "
                    "the user was made after the bus had read it: systemctl reload dbus");
    }
    check_bus_call(result, "get the name", name);
}

Slot Bus::add_object_manager(const std::string& path) {
    auto context = std::make_shared<Slot::Context>();
    check_bus_call(sd_bus_add_object_manager(bus_, &context->slot, path.c_str()), "add an object manager", path);
    return Slot(std::move(context));
}

Message Bus::new_call(const Target& target, const std::string& method) const {
    sd_bus_message* raw = nullptr;
    check_bus_call(sd_bus_message_new_method_call(bus_, &raw, null_if_empty(target.service), target.path.c_str(),
                                                  target.interface.c_str(), method.c_str()),
                   "make a call", method);
    return Message::adopt(raw);
}

Message Bus::call(const Message& request, std::chrono::microseconds timeout) {
    sd_bus_error error{};
    sd_bus_message* raw = nullptr;
    const int result = sd_bus_call(bus_, request.get(), static_cast<std::uint64_t>(timeout.count()), &error, &raw);
    if (result >= 0) return Message::adopt(raw);
    if (!sd_bus_error_is_set(&error)) sd_bus_error_set_errno(&error, result);
    Error failure = error_from(error, destination_of(request));
    sd_bus_error_free(&error);
    throw failure;
}

Options Bus::get_properties(const Target& target) {
    Message request = new_call({target.service, target.path, properties_interface}, "GetAll");
    request.append(target.interface);
    return call(request).read<Options>();
}

Slot Bus::call_async(const Message& request, std::function<void(const Reply&)> callback,
                     std::chrono::microseconds timeout) {
    auto context = std::make_shared<Slot::Context>();
    context->reply = std::move(callback);
    context->peer = destination_of(request);
    check_bus_call(sd_bus_call_async(bus_, &context->slot, request.get(), reply_trampoline, context.get(),
                                     static_cast<std::uint64_t>(timeout.count())),
                   "send a call", context->peer);
    return Slot(std::move(context));
}

Slot Bus::on_signal(const Target& from, const std::string& member, std::function<void(Message&)> callback) {
    auto context = std::make_shared<Slot::Context>();
    context->signal = std::move(callback);
    check_bus_call(sd_bus_match_signal_async(bus_, &context->slot, null_if_empty(from.service),
                                             null_if_empty(from.path), null_if_empty(from.interface),
                                             null_if_empty(member), signal_trampoline, nullptr, context.get()),
                   "watch a signal", from.interface + "." + member);
    return Slot(std::move(context));
}

Slot Bus::on_owner_change(const std::string& name, std::function<void(bool)> callback) {
    auto context = std::make_shared<Slot::Context>();
    const std::string rule = fmt::format(
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{"
        "}'",
        name);
    context->signal = [callback](Message& message) {
        const auto [changed, before, after] = message.read<std::string, std::string, std::string>();
        callback(!after.empty());
    };
    check_bus_call(
        sd_bus_add_match_async(bus_, &context->slot, rule.c_str(), signal_trampoline, nullptr, context.get()),
        "watch a name", name);
    Message question = new_call(bus_daemon, "NameHasOwner");
    question.append(name);
    context->extra = call_async(question, [callback](const Reply& reply) { callback(reply.value().read<bool>()); });
    return Slot(std::move(context));
}

void Bus::flush() noexcept {
    sd_bus_flush(bus_);
}

ObjectPath encode_path(const std::string& prefix, const std::string& name) {
    char* path = nullptr;
    check_bus_call(sd_bus_path_encode(prefix.c_str(), name.c_str(), &path), "encode a path", name);
    const std::unique_ptr<char, decltype(&std::free)> owner(path, &std::free);
    return {path};
}

std::optional<std::string> decode_path(const std::string& prefix, const std::string& path) {
    char* name = nullptr;
    const int result = sd_bus_path_decode(path.c_str(), prefix.c_str(), &name);
    const std::unique_ptr<char, decltype(&std::free)> owner(name, &std::free);
    if (result <= 0) return std::nullopt;
    return std::string(name);
}

}  // namespace coffer::bus
