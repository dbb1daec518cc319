#pragma once
// How a restored server is started: commands that can be pasted, for the layout that it had.
#include <string>

#include "lib/restore/plan.h"

namespace coffer::job {

// One word for a shell, in quotes only where it needs them.
std::string quoted_for_shell(const std::string& plain);

// "pg_ctl -D … start" with the whole path where the version's programs are installed (below bin_root, as Debian does).
// Debian keeps postgresql.conf in /etc, where no base backup finds it: then the original file is named, together with
// the data directory, which that file sets to the old place. In the old place pg_ctlcluster does all that.
std::string start_command(const restore::Plan& plan, const Path& bin_root = "/usr/lib/postgresql");

// What to look through before the start.
std::string settings_to_look_through(const restore::Plan& plan);

}  // namespace coffer::job
