#pragma once
// Puts a backup that is no plain data directory (backup_chain.h) together at the destination: the full one first, then
// each increment in its order, straight into the files there, without staging.
//
// Every byte that is read is held against its own backup's manifest, so that the result is right without one; what a
// later backup has not is removed again. Source: PostgreSQL documentation, "pg_combinebackup"; increment.h. Foreign
// names and bytes: throws corrupt. The archives are read in the calling thread.
#include "lib/restore/backup_chain.h"
#include "lib/restore/copy.h"

namespace coffer::restore {

inline constexpr const char* control_file = "global/pg_control";
// Where pg_control is kept until the restore is whole.
inline constexpr const char* hidden_control_file = "global/.pg_control.tmp";

struct UnpackTarget {
    const BackupChain& chain;
    Path destination;                                  // as real_path() gives it
    std::vector<Tree> tablespaces;                     // target and prefix are used
    std::function<bool(const std::string&)> left_out;  // of the data directory
};

// Makes all files but those that are left out; postgresql.auto.conf as the server had it, pg_control under its hidden
// name. Throws corrupt (with the file and the backup), io, no_space, canceled.
void unpack(const UnpackTarget& target, const CopyControl& control);

}  // namespace coffer::restore
