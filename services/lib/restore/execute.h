#pragma once
// Carrying out a plan: files, WAL, settings, one sync of all, and at the very end pg_control.
//
// A delta restore goes the same way onto a directory that holds the cluster already. It begins with the marker and with
// pg_control, which is moved aside, so that no server can be started there from then on; WAL is proven in a directory
// of its own first, and until that is done everything goes back where it was when the restore is refused or canceled.
// Cut off at any point it is run again.
//
// Until pg_control is there no PostgreSQL starts on the destination, so that a restore that was cut off can never be
// taken for a good one; a file named coffer-restore.unfinished says so to people. Kill points, in order:
// job.restore.begin, .wal, .surplus (delta only), .tree, .settings, .sync, .control, .done.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "lib/restore/plan.h"

namespace coffer::restore {

struct ExecuteControl {
    unsigned jobs = 2;
    // A new step, with the bytes it will move (0: unknown). Called by the calling thread.
    std::function<void(std::string_view name, std::string_view message, std::uint64_t total)> phase;
    std::function<void(std::uint64_t done)> advance;  // bytes done in this step; by any thread
    std::function<bool()> canceled;
};

struct Executed {
    std::vector<std::string> warnings;
    ConfigurationReport configuration;  // as the plan's; of a backup in tar format it is known only now
    // Of a delta restore, in bytes; removed: of files that are not in the backup, old WAL among them.
    std::uint64_t read = 0, equal = 0, written = 0, shared = 0, removed = 0, removed_files = 0;
};

// The WAL comes first, so that damage in it is found before the data files are copied. Throws whatever stopped it; what
// was written by then stays, marked as unfinished.
Executed execute(const Plan& plan, const config::Server& server, const ExecuteControl& control);

class NewTablespaces;
// Puts the WAL of the plan into a directory, proven, with its marks in archive_status (execute() calls it).
void place_wal(const Plan& plan, const config::Server& server, const Path& pg_wal, const CopyControl& control,
               NewTablespaces& tablespaces);
// Only proves it: with get-wal.
void prove_wal(const Plan& plan, const config::Server& server, const CopyControl& control, NewTablespaces& tablespaces);

}  // namespace coffer::restore
