#pragma once
// Which files need not be read when they are reflinked, because whoever reads them later is told of damage.
//
// A reflink takes no time, whatever the size of the file; holding it against the manifest would take as long as copying
// it. It is left out where the content is guarded anyway: by the file system (btrfs keeps a checksum of every block and
// fails the read of a damaged one), or by PostgreSQL (pages of relations in a cluster with data checksums). Everything
// else is read.
#include <string>

#include "lib/catalogue/backup_info.h"
#include "lib/restore/copy.h"

namespace coffer::restore {

// Does the file system keep checksums of this directory's files? Not where they are switched off: mount options
// nodatasum and nodatacow, or the attribute of the directory (chattr +C).
bool file_system_guards(const Path& directory);

// Marks the guarded entries. Returns what guards them, for people; empty: nothing, all will be read.
std::string mark_guarded(Tree& tree, const catalogue::BackupInfo& backup);

}  // namespace coffer::restore
