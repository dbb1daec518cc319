#include "lib/bus/message.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::bus {
namespace {

std::string text_or_empty(const char* text) {
    return text != nullptr ? text : "";
}

template <typename T>
bool read_if(sd_bus_message* message, const std::string& contents, Variant& value) {
    if (contents != Codec<T>::signature()) return false;
    check_message_call(sd_bus_message_enter_container(message, 'v', contents.c_str()), "read a variant");
    value = Codec<T>::read(message);
    check_message_call(sd_bus_message_exit_container(message), "read a variant");
    return true;
}

template <typename... T>
bool read_any(sd_bus_message* message, const std::string& contents, std::variant<T...>& value) {
    return (read_if<T>(message, contents, value) || ...);
}

}  // namespace

void check_message_call(int result, const char* what) {
    if (result >= 0) return;
    throw Error(ErrorCode::invalid_argument, fmt::format("bus message: cannot {} ({})", what, std::strerror(-result)));
}

void append_text(sd_bus_message* message, char type, const std::string& value) {
    check_message_call(sd_bus_message_append_basic(message, type, value.c_str()), "append a text");
}

std::string read_text(sd_bus_message* message, char type) {
    const char* text = nullptr;
    const int result = sd_bus_message_read_basic(message, type, static_cast<void*>(&text));
    check_message_call(result == 0 ? -ENXIO : result, "read a text");
    return text_or_empty(text);
}

void append_fd(sd_bus_message* message, int fd) {
    check_message_call(sd_bus_message_append_basic(message, 'h', &fd), "append a descriptor");
}

UniqueFd read_fd(sd_bus_message* message) {
    int fd = -1;
    const int result = sd_bus_message_read_basic(message, 'h', &fd);
    check_message_call(result == 0 ? -ENXIO : result, "read a descriptor");
    UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!own) throw Error::from_errno(errno, "cannot duplicate a descriptor", "");
    return own;
}

void Codec<Variant>::append(sd_bus_message* message, const Variant& value) {
    std::visit(
        [&](const auto& held) {
            using Held = std::remove_cvref_t<decltype(held)>;
            const std::string contents = Codec<Held>::signature();
            check_message_call(sd_bus_message_open_container(message, 'v', contents.c_str()), "begin a variant");
            Codec<Held>::append(message, held);
            check_message_call(sd_bus_message_close_container(message), "end a variant");
        },
        value);
}

Variant Codec<Variant>::read(sd_bus_message* message) {
    char type = 0;
    const char* contents = nullptr;
    const int result = sd_bus_message_peek_type(message, &type, &contents);
    check_message_call(result == 0 || (result > 0 && type != 'v') ? -ENXIO : result, "read a variant");
    Variant value;
    if (read_any(message, text_or_empty(contents), value)) return value;
    check_message_call(sd_bus_message_skip(message, "v"), "skip a variant");
    return std::vector<std::string>{};
}

Message Message::adopt(sd_bus_message* raw) noexcept {
    Message message;
    message.raw_ = raw;
    return message;
}

std::string Message::path() const {
    return text_or_empty(sd_bus_message_get_path(raw_));
}
std::string Message::member() const {
    return text_or_empty(sd_bus_message_get_member(raw_));
}
std::string Message::sender() const {
    return text_or_empty(sd_bus_message_get_sender(raw_));
}

void OptionReader::refuse_type(const std::string& name, const std::string& wanted) {
    throw Error(ErrorCode::invalid_argument, fmt::format("option \"{}\" is of another type", name), {},
                fmt::format("give it as D-Bus type \"{}\"", wanted));
}

void OptionReader::refuse_rest() const {
    if (options_.empty()) return;
    throw Error(ErrorCode::invalid_argument, fmt::format("unknown option \"{}\"", options_.begin()->first), {},
                "see docs/bus.md for the options of this method");
}

}  // namespace coffer::bus
