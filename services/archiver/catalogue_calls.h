#pragma once
// What the bus asks of the catalogue and the archive of one server. Reads and writes the disk: for worker threads only.
#include <memory>
#include <tuple>

#include "lib/bus/message.h"
#include "lib/catalogue/catalogue.h"
#include "lib/hooks/hook_process.h"
#include "lib/wal/archive.h"

namespace coffer::archiver {

using SharedServer = std::shared_ptr<const config::Server>;

struct BackupPage {
    std::vector<bus::Options> backups;  // oldest first
    std::uint64_t total = 0;
};

// filter: "status" (s) for one status only. Unknown keys are refused. limit 0: all.
// archive may be null (not open).
BackupPage list_backups(const config::Server& server, const wal::WalArchive* archive, const bus::Options& filter,
                        std::uint32_t offset, std::uint32_t limit);
// By ID, alias or name.
bus::Options get_backup(const config::Server& server, const wal::WalArchive* archive, const std::string& backup);
// target: "full", "standalone", "nokeep".
void keep_backup(const config::Server& server, const std::string& backup, const std::string& target);
// Deletes a backup and its increments from the catalogue (Catalogue::finish_removals() frees their space) and removes
// the WAL that nothing needs any more (lib/catalogue/wal_release.h). Returns how many WAL files went. archive may be
// null (not open): WAL stays then. Hooks may forbid it (hooked_removal.h).
std::uint64_t delete_backup(const config::Server& server, wal::WalArchive* archive, const std::string& backup,
                            const hooks::Stop& stop);
struct RebuiltIndex {
    std::uint64_t files = 0, left_out = 0;
    std::vector<std::tuple<std::string, std::string>> first_left_out;  // path below wals/, why; the first thousand
};
RebuiltIndex rebuild_index(wal::WalArchive& archive);
// Proves an archived WAL file anew: ("absent" | "sound" | "set-aside" | "opaque", what is wrong with it, where it is
// now). archive may be null (not open): busy.
std::tuple<std::string, std::string, std::string> recheck_wal(wal::WalArchive* archive, const std::string& name);
// Archives the file of this name that lies in incoming/, else (a whole segment, a history) in streaming/, as whatever
// arrives there: ("stored" | "absent" | "refused" | "failed", why).
std::tuple<std::string, std::string> store_wal(const config::Server& server, wal::WalArchive* archive,
                                               const std::string& name);
// The plain bytes of a WAL file, as a descriptor to be read from its beginning: the file itself when it is not
// compressed, else memory. allow_partial: the unfinished segment too. Throws no_such_wal, corrupt.
UniqueFd open_wal(const config::Server& server, const std::string& name, bool allow_partial);

}  // namespace coffer::archiver
