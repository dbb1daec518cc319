#pragma once
// The command line of coffer-wal-restore: barman-wal-restore's, and --stop-at-hole.
#include <optional>

#include "tools/clients/box.h"
#include "tools/clients/fetch.h"

namespace coffer::clients {

struct RestoreOptions {
    Box box;
    Wanted wanted;
    Path destination;
    Path spool_directory;  // empty: the usual one
    unsigned ahead = 0;    // segments; 0: no read-ahead
    unsigned sleep = 0;    // seconds before a failure is told
    bool test = false;
};

// nullopt with the exit status when there is nothing to do. Throws invalid_argument.
std::optional<RestoreOptions> parse_restore_options(int argc, char** argv, int& status);

}  // namespace coffer::clients
