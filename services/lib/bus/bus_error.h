#pragma once
// coffer::Error to and from the errors of D-Bus. The name is that of the code (lib/base/error.h); the message is
// "what: where", and on a second line the remedy. Whoever receives it gets code, text and remedy back.
#include <systemd/sd-bus.h>

#include "lib/base/error.h"

namespace coffer::bus {

// The text of an Error as it travels: what() and, on a second line, the remedy.
std::string message_text_of(const Error& error);
// Sets error from the exception that is being handled; returns the negative errno that sd-bus wants. Only in a catch
// block.
int set_from_current_exception(sd_bus_error* error) noexcept;
// What a call came back with. peer: the bus name that was called, for errors of the bus itself.
Error error_from(const sd_bus_error& error, const std::string& peer);

}  // namespace coffer::bus
