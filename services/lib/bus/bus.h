#pragma once
// A connection to the bus (sd-bus, RAII). It belongs to the loop thread, with everything made from it (Slot, Message,
// BusObject). Errors are coffer::Error: those that the peer sent come back with their code, text and remedy.
#include <systemd/sd-bus.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/error.h"
#include "lib/bus/message.h"
#include "lib/event/event_loop.h"

namespace coffer::bus {

// Keeps a match, a pending call or an object alive; destroying it ends that, also from inside its own callback.
class Slot {
  public:
    struct Context;
    Slot() noexcept;
    explicit Slot(std::shared_ptr<Context> context) noexcept;
    Slot(Slot&&) noexcept;
    Slot& operator=(Slot&&) noexcept;
    ~Slot();
    void reset() noexcept;
    explicit operator bool() const noexcept { return context_ != nullptr; }

  private:
    std::shared_ptr<Context> context_;
};

struct Target {  // what a call goes to
    std::string service;
    std::string path;
    std::string interface;
};

// One of the two is set.
struct Reply {
    Message message;
    std::optional<Error> error;
    // The message; throws the error.
    [[nodiscard]] const Message& value() const;
};

inline constexpr std::chrono::seconds default_call_timeout{25};

class Bus {
  public:
    // The system bus ($DBUS_SYSTEM_BUS_ADDRESS for a private one). target_unreachable when there is none.
    static Bus open_system();
    // One end of a socket pair, for tests without a bus daemon: exactly one of both ends is the server.
    static Bus on_socket(UniqueFd socket, bool server);

    Bus(Bus&& other) noexcept : bus_(std::exchange(other.bus_, nullptr)) {}
    Bus& operator=(Bus&& other) noexcept;
    ~Bus();

    [[nodiscard]] sd_bus* get() const noexcept { return bus_; }
    // Serves the connection from this loop. When the bus goes away the loop exits with status 1, so that systemd
    // restarts the service into a defined state.
    void attach(EventLoop& loop);
    // After all objects are published, and before notify_ready(). busy if another process has the name.
    void request_name(const std::string& name);
    // An ObjectManager: clients get all objects below path in one call, and signals when they come and go.
    [[nodiscard]] Slot add_object_manager(const std::string& path);

    [[nodiscard]] Message new_call(const Target& target, const std::string& method) const;
    // Blocks (clients only, never in a service). Throws what the peer sent, timeout, target_unreachable.
    Message call(const Message& request, std::chrono::microseconds timeout = default_call_timeout);
    // Blocking, typed: auto [id, job] = bus.call_method<std::uint64_t, ObjectPath>(target, "Enqueue", server, kind,
    // options);
    template <typename... Result, typename... Args>
    auto call_method(const Target& target, const std::string& method, const Args&... args);
    template <typename T>
    T get_property(const Target& target, const std::string& name);
    // All properties at once, as a{sv}.
    Options get_properties(const Target& target);

    // callback gets the answer from the loop, unless the slot is destroyed before.
    [[nodiscard]] Slot call_async(const Message& request, std::function<void(const Reply&)> callback,
                                  std::chrono::microseconds timeout = default_call_timeout);
    // Signals of a peer; an empty sender, path or member means any.
    [[nodiscard]] Slot on_signal(const Target& from, const std::string& member, std::function<void(Message&)> callback);
    // The owner of a name changed; owned is false when nobody has it now. Also called once with the present state.
    [[nodiscard]] Slot on_owner_change(const std::string& name, std::function<void(bool owned)> callback);

    void flush() noexcept;

  private:
    explicit Bus(sd_bus* bus) noexcept : bus_(bus) {}
    sd_bus* bus_ = nullptr;
};

// "/org/pgcoffer/Streamer1/server" and "main-db" make ".../main_2ddb"; decode gives the name back, if path is below
// prefix.
ObjectPath encode_path(const std::string& prefix, const std::string& name);
std::optional<std::string> decode_path(const std::string& prefix, const std::string& path);

// internal (or what errno says) for a negative result of sd-bus.
void check_bus_call(int result, const char* what, const std::string& where = {});

template <typename... Result, typename... Args>
auto Bus::call_method(const Target& target, const std::string& method, const Args&... args) {
    Message request = new_call(target, method);
    request.append(args...);
    const Message reply = call(request);
    if constexpr (sizeof...(Result) > 0) return reply.read<Result...>();
}

template <typename T>
T Bus::get_property(const Target& target, const std::string& name) {
    Message request = new_call({target.service, target.path, "org.freedesktop.DBus.Properties"}, "Get");
    request.append(target.interface, name);
    const Message reply = call(request);
    const std::string contents = signature_of<T>();
    check_message_call(sd_bus_message_enter_container(reply.get(), 'v', contents.c_str()), "read a property");
    return reply.read<T>();
}

}  // namespace coffer::bus
