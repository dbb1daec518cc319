#pragma once
// Tablespaces that were made after the backup: recovery makes them again, where they were.
//
// PostgreSQL replays CREATE TABLESPACE by linking pg_tblspc/<oid> to the directory of that time. On the machine of a
// server that still lives, this is the living server's directory, and the restored one would write into it, and destroy
// it when it replays a DROP. Where the directory is missing, recovery stops (PostgreSQL 13 to 18). So the WAL is looked
// through for them while it is checked, before a data file is copied.
// Format: PostgreSQL src/include/commands/tablespace.h, xl_tblspc_create_rec.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lib/restore/plan.h"
#include "lib/wal/record.h"

namespace coffer::restore {

// Thread-safe.
class NewTablespaces {
  public:
    explicit NewTablespaces(const Plan& plan) : plan_(plan) {}

    // A record of resource manager rm_tablespace.
    void take(const wal::RecordView& record);
    // The directories, by oid, of those that the backup does not have and recovery will pass.
    [[nodiscard]] std::map<std::uint32_t, Path> found() const;

  private:
    const Plan& plan_;
    mutable std::mutex mutex_;
    std::map<std::uint32_t, Path> found_;
};

// Throws refused when one of them is there and not an empty directory. Returns those that are missing.
std::vector<Path> missing_directories(const std::map<std::uint32_t, Path>& tablespaces);

}  // namespace coffer::restore
