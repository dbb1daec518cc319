#include "lib/bus/bus_error.h"

#include <cerrno>
#include <string_view>

#include <fmt/format.h>

#include "lib/base/log.h"

namespace coffer::bus {
namespace {

struct ForeignError {
    std::string_view name;
    ErrorCode code;
    std::string_view remedy;  // {} is the peer
};

// Errors that the bus or sd-bus make; the texts say what a person can do.
constexpr ForeignError foreign_errors[] = {
    {SD_BUS_ERROR_SERVICE_UNKNOWN, ErrorCode::target_unreachable, "start the service that owns {}"},
    {SD_BUS_ERROR_NAME_HAS_NO_OWNER, ErrorCode::target_unreachable, "start the service that owns {}"},
    {SD_BUS_ERROR_NO_SERVER, ErrorCode::target_unreachable, "start the system bus (dbus.service)"},
    {SD_BUS_ERROR_DISCONNECTED, ErrorCode::target_unreachable, "start the system bus (dbus.service)"},
    {SD_BUS_ERROR_NO_REPLY, ErrorCode::timeout, "look at the state of the service that owns {}"},
    {SD_BUS_ERROR_TIMEOUT, ErrorCode::timeout, "look at the state of the service that owns {}"},
    {SD_BUS_ERROR_ACCESS_DENIED, ErrorCode::permission_denied, "run this as root or as a member of group coffer-admin"},
    {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, ErrorCode::permission_denied,
     "run this as root or as a member of group coffer-admin"},
    {SD_BUS_ERROR_UNKNOWN_METHOD, ErrorCode::not_supported,
     "update the service that owns {}: it is older than this client"},
    {SD_BUS_ERROR_UNKNOWN_INTERFACE, ErrorCode::not_supported,
     "update the service that owns {}: it is older than this client"},
    {SD_BUS_ERROR_UNKNOWN_PROPERTY, ErrorCode::not_supported,
     "update the service that owns {}: it is older than this client"},
    {SD_BUS_ERROR_UNKNOWN_OBJECT, ErrorCode::invalid_argument, "list what {} knows: this object is gone"},
    {SD_BUS_ERROR_INVALID_ARGS, ErrorCode::invalid_argument, ""},
};

std::string with_peer(std::string_view remedy, const std::string& peer) {
    std::string text(remedy);
    if (const auto place = text.find("{}"); place != std::string::npos) text.replace(place, 2, peer);
    return text;
}

}  // namespace

std::string message_text_of(const Error& error) {
    return error.remedy().empty() ? error.what() : std::string(error.what()) + "\n" + error.remedy();
}

int set_from_current_exception(sd_bus_error* target) noexcept {
    try {
        throw;
    } catch (const Error& error) {
        try {
            const std::string name(bus_name_of(error.code()));
            return sd_bus_error_set(target, name.c_str(), message_text_of(error).c_str());
        } catch (...) {
            return -ENOMEM;
        }
    } catch (const std::exception& error) {
        log_error("bus call failed unexpectedly: {}", error.what());
        return sd_bus_error_set(target, "org.pgcoffer.Error.Internal", error.what());
    } catch (...) {
        log_error("bus call failed unexpectedly");
        return sd_bus_error_set(target, "org.pgcoffer.Error.Internal", "unknown exception");
    }
}

Error error_from(const sd_bus_error& error, const std::string& peer) {
    const std::string_view name = error.name != nullptr ? error.name : "";
    std::string fact = error.message != nullptr ? error.message : "call failed without a reason";
    if (name.starts_with("org.pgcoffer.Error.")) {
        std::string remedy;
        if (const auto end = fact.find('\n'); end != std::string::npos) {
            remedy = fact.substr(end + 1);
            fact.resize(end);
        }
        return Error(code_of_bus_name(name), fact, {}, remedy);
    }
    for (const ForeignError& row : foreign_errors) {
        if (row.name == name) return Error(row.code, fact, peer, with_peer(row.remedy, peer));
    }
    return Error(ErrorCode::internal, fmt::format("{} ({})", fact, name), peer);
}

}  // namespace coffer::bus
