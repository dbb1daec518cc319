#pragma once
// What is done to WAL of a server that has hook scripts for it. Scripts take as long as they take: only for threads
// that nobody else waits for.
#include <string>
#include <vector>

#include "lib/hooks/hook_process.h"
#include "lib/wal/archive.h"

namespace coffer::archiver {

// As WalArchive::store(), between the scripts of *_archive_*. Where one does not allow it the outcome is "failed"
// (refused), and the file stays to be tried again; when stop was asked for meanwhile too (busy).
wal::StoreOutcome store_with_hooks(wal::WalArchive& archive, const Path& source, const hooks::Stop& stop) noexcept;

// As WalArchive::remove(), between the scripts of *_wal_delete_* for each file, if there are any. Returns how many
// went: what a script does not allow stays, and what had not begun when stop was asked for.
std::size_t remove_with_hooks(wal::WalArchive& archive, const std::vector<std::string>& names, const hooks::Stop& stop);

}  // namespace coffer::archiver
