#pragma once
// A backup leaves the catalogue, between the scripts of *_delete_*, if there are any. For worker threads only.
#include "lib/catalogue/catalogue.h"
#include "lib/hooks/hook_process.h"

namespace coffer::archiver {

// Throws what Catalogue::mark_removed() throws, and refused where a script does not allow it, canceled when stop was
// asked for meanwhile: the backup is still there then.
void remove_backup(const config::Server& server, const catalogue::BackupInfo& backup, const hooks::Stop& stop);

}  // namespace coffer::archiver
