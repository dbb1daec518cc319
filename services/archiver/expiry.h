#pragma once
// The deed to what lib/retention decides: deletes what the policy of a server gives up, backups first, then WAL. Reads
// and writes the disk: for worker threads only.
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/config/config.h"
#include "lib/hooks/hook_process.h"
#include "lib/retention/retention.h"
#include "lib/wal/archive.h"

namespace coffer::archiver {

struct Expired {
    std::vector<std::string> backups;     // deleted from the catalogue; their files are still to be removed
    std::uint64_t wal_files = 0;          // that were removed
    std::optional<WallTime> next_change;  // when time alone gives something up
    bool again = false;                   // something had to stay, since it is being read
};

// Is anything ever given up on this server?
bool has_retention(const config::Server& server);
// What is given up now. archive may be null (not open): no WAL is held to be missing then.
retention::Decision decide_now(const config::Server& server, const wal::WalArchive* archive, const Clock& clock);
// What is being read, and what a hook does not allow, is left for the next time. stop, once asked for, ends it at the
// next step.
Expired expire(const config::Server& server, wal::WalArchive& archive, const Clock& clock, const hooks::Stop& stop);

}  // namespace coffer::archiver
