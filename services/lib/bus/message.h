#pragma once
// A D-Bus message (reference to an sd_bus_message) with typed append and read; the signature follows from the C++ type:
//
//   bool b, int32 i, uint32 u, int64 x, uint64 t, double d, std::string s, ObjectPath o, UnixFd h (the descriptor is
//   duplicated), std::vector<T> aT, std::tuple<A, B> (AB), std::map<std::string, T> a{sT}, Variant v
//
// so that Options (a{sv}) is std::map<std::string, Variant>. Reading throws invalid_argument when the message holds
// something else. Loop thread of the bus only.
#include <systemd/sd-bus.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "lib/base/unique_fd.h"

namespace coffer::bus {

struct ObjectPath {
    std::string value;
    auto operator<=>(const ObjectPath&) const = default;
};

using Variant = std::variant<bool, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, double, std::string,
                             ObjectPath, std::vector<std::string>>;
using Options = std::map<std::string, Variant>;

class Message {
  public:
    Message() noexcept = default;
    // Takes a reference of its own.
    explicit Message(sd_bus_message* raw) noexcept : raw_(sd_bus_message_ref(raw)) {}
    static Message adopt(sd_bus_message* raw) noexcept;
    Message(const Message& other) noexcept : Message(other.raw_) {}
    Message(Message&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Message& operator=(Message other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~Message() { sd_bus_message_unref(raw_); }

    [[nodiscard]] sd_bus_message* get() const noexcept { return raw_; }
    explicit operator bool() const noexcept { return raw_ != nullptr; }

    template <typename... T>
    Message& append(const T&... values);
    // The next values of the message, in order: one value as itself, several as a tuple.
    template <typename T, typename... More>
    auto read() const;

    [[nodiscard]] std::string path() const;
    [[nodiscard]] std::string member() const;
    [[nodiscard]] std::string sender() const;

  private:
    sd_bus_message* raw_ = nullptr;
};

// The D-Bus signature of C++ types, one after the other.
template <typename... T>
std::string signature_of();

// The values of an a{sv} that a method took, each asked for by name, the rest refused.
class OptionReader {
  public:
    explicit OptionReader(Options options) : options_(std::move(options)) {}
    // Takes the option out; fallback when it is not there; invalid_argument when it is of another type.
    template <typename T>
    T take(const std::string& name, T fallback);
    // invalid_argument naming the first option that nobody took.
    void refuse_rest() const;

  private:
    [[noreturn]] static void refuse_type(const std::string& name, const std::string& wanted);
    Options options_;
};

}  // namespace coffer::bus

#include "lib/bus/message_types.h"  // the templates
