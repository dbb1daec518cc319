#pragma once
// Who may act over the bus: root, the user that the service runs as, and members of the group coffer-admin. The policy
// files of the bus decide coarsely before this (units/dbus/system.d).
#include "lib/bus/message.h"

namespace coffer::bus {

// Throws permission_denied for anybody else. The bus daemon vouches for the uid of the sender.
void require_acting_caller(const Message& call);

}  // namespace coffer::bus
