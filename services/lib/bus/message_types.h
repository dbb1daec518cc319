#pragma once
// Private to lib/bus/message.h: one Codec per type, each with its signature, append and read.
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/bus/message.h"

namespace coffer::bus {

// invalid_argument for a negative result of sd-bus while a message is read or written.
void check_message_call(int result, const char* what);

template <typename T>
struct Codec;

template <typename T, char Type>
struct BasicCodec {
    static std::string signature() { return std::string(1, Type); }
    static void append(sd_bus_message* message, const T& value) {
        check_message_call(sd_bus_message_append_basic(message, Type, &value), "append a value");
    }
    static T read(sd_bus_message* message) {
        T value{};
        const int result = sd_bus_message_read_basic(message, Type, &value);
        check_message_call(result == 0 ? -ENXIO : result, "read a value");
        return value;
    }
};
template <>
struct Codec<std::int32_t> : BasicCodec<std::int32_t, 'i'> {};
template <>
struct Codec<std::uint32_t> : BasicCodec<std::uint32_t, 'u'> {};
template <>
struct Codec<std::int64_t> : BasicCodec<std::int64_t, 'x'> {};
template <>
struct Codec<std::uint64_t> : BasicCodec<std::uint64_t, 't'> {};
template <>
struct Codec<double> : BasicCodec<double, 'd'> {};

template <>
struct Codec<bool> {
    static std::string signature() { return "b"; }
    static void append(sd_bus_message* message, bool value) {
        const int wide = value ? 1 : 0;
        check_message_call(sd_bus_message_append_basic(message, 'b', &wide), "append a boolean");
    }
    static bool read(sd_bus_message* message) {
        int wide = 0;
        const int result = sd_bus_message_read_basic(message, 'b', &wide);
        check_message_call(result == 0 ? -ENXIO : result, "read a boolean");
        return wide != 0;
    }
};

// Strings and object paths: sd-bus checks UTF-8 and the form of the path.
void append_text(sd_bus_message* message, char type, const std::string& value);
std::string read_text(sd_bus_message* message, char type);
void append_fd(sd_bus_message* message, int fd);
UniqueFd read_fd(sd_bus_message* message);

template <>
struct Codec<std::string> {
    static std::string signature() { return "s"; }
    static void append(sd_bus_message* message, const std::string& value) { append_text(message, 's', value); }
    static std::string read(sd_bus_message* message) { return read_text(message, 's'); }
};
template <>
struct Codec<ObjectPath> {
    static std::string signature() { return "o"; }
    static void append(sd_bus_message* message, const ObjectPath& value) { append_text(message, 'o', value.value); }
    static ObjectPath read(sd_bus_message* message) { return {read_text(message, 'o')}; }
};
template <>
struct Codec<UniqueFd> {
    static std::string signature() { return "h"; }
    static void append(sd_bus_message* message, const UniqueFd& value) { append_fd(message, value.get()); }
    static UniqueFd read(sd_bus_message* message) { return read_fd(message); }
};

template <typename T>
struct Codec<std::vector<T>> {
    static std::string signature() { return "a" + Codec<T>::signature(); }
    static void append(sd_bus_message* message, const std::vector<T>& values) {
        const std::string inner = Codec<T>::signature();
        check_message_call(sd_bus_message_open_container(message, 'a', inner.c_str()), "begin an array");
        for (const T& value : values) Codec<T>::append(message, value);
        check_message_call(sd_bus_message_close_container(message), "end an array");
    }
    static std::vector<T> read(sd_bus_message* message) {
        const std::string inner = Codec<T>::signature();
        check_message_call(sd_bus_message_enter_container(message, 'a', inner.c_str()), "read an array");
        std::vector<T> values;
        while (sd_bus_message_at_end(message, 0) == 0) values.push_back(Codec<T>::read(message));
        check_message_call(sd_bus_message_exit_container(message), "read an array");
        return values;
    }
};

template <typename... T>
struct Codec<std::tuple<T...>> {
    static std::string members() { return (Codec<T>::signature() + ... + std::string()); }
    static std::string signature() { return "(" + members() + ")"; }
    static void append(sd_bus_message* message, const std::tuple<T...>& values) {
        check_message_call(sd_bus_message_open_container(message, 'r', members().c_str()), "begin a structure");
        std::apply([&](const T&... value) { (Codec<T>::append(message, value), ...); }, values);
        check_message_call(sd_bus_message_close_container(message), "end a structure");
    }
    static std::tuple<T...> read(sd_bus_message* message) {
        check_message_call(sd_bus_message_enter_container(message, 'r', members().c_str()), "read a structure");
        std::tuple<T...> values{Codec<T>::read(message)...};
        check_message_call(sd_bus_message_exit_container(message), "read a structure");
        return values;
    }
};

template <typename T>
struct Codec<std::map<std::string, T>> {
    static std::string entry() { return "s" + Codec<T>::signature(); }
    static std::string signature() { return "a{" + entry() + "}"; }
    static void append(sd_bus_message* message, const std::map<std::string, T>& values) {
        check_message_call(sd_bus_message_open_container(message, 'a', ("{" + entry() + "}").c_str()), "begin a map");
        for (const auto& [key, value] : values) {
            check_message_call(sd_bus_message_open_container(message, 'e', entry().c_str()), "begin an entry");
            Codec<std::string>::append(message, key);
            Codec<T>::append(message, value);
            check_message_call(sd_bus_message_close_container(message), "end an entry");
        }
        check_message_call(sd_bus_message_close_container(message), "end a map");
    }
    static std::map<std::string, T> read(sd_bus_message* message) {
        check_message_call(sd_bus_message_enter_container(message, 'a', ("{" + entry() + "}").c_str()), "read a map");
        std::map<std::string, T> values;
        while (sd_bus_message_at_end(message, 0) == 0) {
            check_message_call(sd_bus_message_enter_container(message, 'e', entry().c_str()), "read an entry");
            std::string key = Codec<std::string>::read(message);
            values.insert_or_assign(std::move(key), Codec<T>::read(message));
            check_message_call(sd_bus_message_exit_container(message), "read an entry");
        }
        check_message_call(sd_bus_message_exit_container(message), "read a map");
        return values;
    }
};

template <>
struct Codec<Variant> {
    static std::string signature() { return "v"; }
    static void append(sd_bus_message* message, const Variant& value);
    // A value of a type that Variant has not is read as an empty string array.
    static Variant read(sd_bus_message* message);
};

template <typename... T>
std::string signature_of() {
    return (Codec<T>::signature() + ... + std::string());
}

template <typename... T>
Message& Message::append(const T&... values) {
    [[maybe_unused]] const auto one = [&](const auto& value) {
        using Given = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_convertible_v<Given, std::string> && !std::is_same_v<Given, std::string>) {
            Codec<std::string>::append(raw_, std::string(value));
        } else {
            Codec<Given>::append(raw_, value);
        }
    };
    (one(values), ...);
    return *this;
}

template <typename T, typename... More>
auto Message::read() const {
    if constexpr (sizeof...(More) == 0) {
        return Codec<T>::read(raw_);
    } else {
        return std::tuple<T, More...>{Codec<T>::read(raw_), Codec<More>::read(raw_)...};
    }
}

template <typename T>
T OptionReader::take(const std::string& name, T fallback) {
    const auto found = options_.find(name);
    if (found == options_.end()) return fallback;
    const Variant value = std::move(found->second);
    options_.erase(found);
    if (const T* typed = std::get_if<T>(&value)) return *typed;
    refuse_type(name, signature_of<T>());
}

}  // namespace coffer::bus
