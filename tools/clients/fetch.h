#pragma once
// One WAL file over a connection of its own: without read-ahead, and whenever the read-ahead has not got it.
#include <string>

#include "lib/base/files.h"
#include "tools/clients/box.h"

namespace coffer::clients {

struct Wanted {
    std::string name;
    bool partial = false;  // the unfinished segment too, filled with zeros
    bool whole = false;    // a hole is an error, not an absence
};

// False when the box does not hold it. The file appears at the destination whole and checked, or not at all. A broken
// connection is made anew once. Throws server_unreachable, not_supported, corrupt, wal_gap, refused (the box said why),
// and io, no_space, permission_denied for the destination.
bool fetch(const Box& box, const Wanted& wanted, const Path& destination);

// The same by a `barman get-wal`, for a box that is no Coffer.
bool fetch_from_barman(const Box& box, const Wanted& wanted, const Path& destination);

// Connects, and asks for nothing. Throws as above.
void try_connection(const Box& box);

// Beside the destination, so that a rename makes it that.
Path temporary_beside(const Path& destination);

}  // namespace coffer::clients
