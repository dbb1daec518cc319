#pragma once
// org.freedesktop.LogControl1 at its fixed path, so that "systemctl service-log-level coffer-archiver debug" works.
// Format: org.freedesktop.LogControl1(5). The target cannot be changed: it is the journal under systemd, else stderr.
#include "lib/bus/bus_object.h"

namespace coffer::bus {

BusObject publish_log_control(Bus& bus, const std::string& identifier);

}  // namespace coffer::bus
