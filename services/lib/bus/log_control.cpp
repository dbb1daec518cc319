#include "lib/bus/log_control.h"

#include <cstdlib>

#include "lib/base/service_options.h"

namespace coffer::bus {
namespace {

std::string log_target() {
    return std::getenv("JOURNAL_STREAM") != nullptr ? "journal" : "console";
}

void change_level(const std::string& name) {
    const auto level = log_level_named(name);
    if (!level) {
        throw Error(ErrorCode::invalid_argument, "unknown log level", name, "use debug, info, notice, warning or err");
    }
    set_log_level(*level);
}

void change_target(const std::string& name) {
    if (name == log_target() || name == "auto") return;
    throw Error(ErrorCode::not_supported, "the log cannot be sent elsewhere", name);
}

}  // namespace

BusObject publish_log_control(Bus& bus, const std::string& identifier) {
    BusObject object("/org/freedesktop/LogControl1", "org.freedesktop.LogControl1");
    object.writable_property(
        "LogLevel", Emits::none, [] { return std::string(name_of(log_level())); }, change_level);
    object.writable_property("LogTarget", Emits::none, log_target, change_target);
    object.property("SyslogIdentifier", Emits::constant, [identifier] { return identifier; });
    object.publish(bus);
    return object;
}

}  // namespace coffer::bus
