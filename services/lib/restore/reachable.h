#pragma once
// Can the owner of a restored server use what its restore_command needs?
#include <vector>

#include "lib/restore/copy.h"

namespace coffer::restore {

struct Needed {
    Path path;
    int mode = 0;  // as access(2) takes it: R_OK, X_OK
};

// The first of these that this user, with all its groups, may not use; asked of the kernel by a child process that
// becomes this user. nullopt: all. Only root can ask for others.
std::optional<Path> out_of_reach(const Owner& owner, const std::vector<Needed>& needed);

}  // namespace coffer::restore
