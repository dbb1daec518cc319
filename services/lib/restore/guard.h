#pragma once
// Does reading files tell of damage by itself, so that a restore need not read what it reflinks?
//
// A reflink takes no time, whatever the size of the file; holding it against the manifest would take as long as copying
// it. btrfs keeps a checksum of every block and fails the read of a damaged one, so there it is left out. The page
// checksums of a cluster are no such guard: PostgreSQL takes a block of zeros for a new page.
#include "lib/base/files.h"

namespace coffer::restore {

// Does the file system keep checksums of this directory's files? Not where they are switched off: mount options
// nodatasum and nodatacow, or the attribute of the directory (chattr +C).
bool file_system_guards(const Path& directory);

}  // namespace coffer::restore
