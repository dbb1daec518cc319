#pragma once
// A file of 1 MB in a server's meta/ that is given up when a removal finds the disk full. Some file systems (XFS) then
// have no room for a new file of no bytes, so nothing could be deleted to make room.
//
// Threads: as the system calls are.
#include "lib/base/error.h"
#include "lib/config/config.h"

namespace coffer::catalogue {

Path removal_room_path(const config::Server& server);

// Makes the file where it is missing. A disk without room for it is no error: the next time will do.
void keep_removal_room(const config::Server& server) noexcept;

// False: there is none to give up.
bool give_up_removal_room(const config::Server& server);

// Does what needs a little room; where there is none, once more with the room that was kept. Throws what action throws.
template <typename Action>
void with_removal_room(const config::Server& server, const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::no_space || !give_up_removal_room(server)) throw;
        action();
    }
}

}  // namespace coffer::catalogue
