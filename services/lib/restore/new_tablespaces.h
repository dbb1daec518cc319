#pragma once
// Tablespaces that recovery makes again, where they were: those made after the backup, or while it began.
//
// PostgreSQL replays CREATE TABLESPACE by linking pg_tblspc/<oid> to the directory of that time, whatever the link said
// before. On the machine of a server that still lives, this is the living server's directory, and the restored one
// would write into it, and destroy it when it replays a DROP. Where the directory is missing, or belongs to somebody
// else, recovery stops (PostgreSQL 13 to 18). So the WAL is looked through for them while it is checked, before a data
// file is copied. Format: PostgreSQL src/include/commands/tablespace.h, xl_tblspc_create_rec.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lib/restore/plan.h"
#include "lib/wal/record.h"

namespace coffer::restore {

// Recovery does not pass records from here on; 0 where it goes as far as there is WAL, which may be more than was held
// when the plan was made.
Lsn records_end(const Plan& plan);

// The resource managers of the records to take.
wal::RecordKinds tablespace_kinds();

// Thread-safe.
class NewTablespaces {
  public:
    explicit NewTablespaces(const Plan& plan);

    // A record of one of tablespace_kinds().
    void take(const wal::RecordView& record);
    // The directories, by oid, of those that recovery will make.
    [[nodiscard]] std::map<std::uint32_t, Path> found() const;

  private:
    const Lsn begin_;
    const Lsn end_;  // 0: none
    mutable std::mutex mutex_;
    std::map<std::uint32_t, Path> found_;
};

// Returns those that are missing, to be made. Throws refused when one is something else than an empty directory, lies
// in a catalogue, or belongs to somebody else; and when the backup has this tablespace and plan puts it elsewhere,
// where recovery would not leave it.
std::vector<Path> missing_directories(const std::map<std::uint32_t, Path>& tablespaces, const Plan& plan);

}  // namespace coffer::restore
