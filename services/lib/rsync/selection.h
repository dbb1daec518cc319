#pragma once
// Which files of a data directory belong into a base backup, by their paths below PGDATA, and how they are shared out.
//
// Source: PostgreSQL documentation, "Making a Base Backup Using the Low Level API", "Backing Up the Data Directory",
// and "Streaming Replication Protocol", BASE_BACKUP, of 13 to 18, for what may be left out. Pure functions.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/rsync/listing.h"

namespace coffer::rsync {

// A path of a file or directory below PGDATA ("pg_tblspc/16384/PG_15_…/5/16390" for tablespaces).
bool is_part_of_backup(std::string_view path, bool directory) noexcept;

// Takes out of the files those of unlogged relations, but for the forks that they are made from again ("16390_init"):
// recovery would empty them anyway.
void leave_out_unlogged(std::vector<Listed>& files);

// Shares the files out into at most so many lists of about the same number of bytes, none empty. A file counts for a
// little even where it is empty: it has to be asked for.
std::vector<std::vector<Listed>> shared_out(std::vector<Listed> files, std::size_t lists);

}  // namespace coffer::rsync
