#pragma once
// A destination that is not empty (delta restore): is what lies there the same cluster, and is no server at work on it?
//
// The cluster is known by the system identifier at the front of pg_control (PostgreSQL
// src/include/catalog/pg_control.h, 13 to 18), or, where a restore was cut off, by the line that it left in its marker.
// A server is found by the process that postmaster.pid names, by the shared memory that it names (processes may be left
// when their postmaster was killed), and by processes whose working directory this is, as that of every process of
// PostgreSQL is; those of other users are seen by root only. Changes nothing.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/files.h"
#include "lib/restore/destination.h"

namespace coffer::restore {

// Where pg_control lies while a delta restore has not changed anything yet; it goes back when it never does.
inline constexpr const char* control_aside = "global/coffer-restore.pg_control";
// WAL is proven here, before that of the old server goes.
inline constexpr const char* wal_aside = "coffer-restore.pg_wal";

// The text of the marker of an unfinished restore; says the system identifier and the tablespaces.
std::string marker_text(const std::string& server, const catalogue::BackupInfo& backup,
                        const std::vector<TablespaceTarget>& tablespaces, bool delta);

// directory exists and is not empty. Throws refused: no data directory, or one of another cluster, or a server runs.
void require_same_cluster(const Path& directory, std::uint64_t system_identifier);
// Throws refused, naming what runs there, or what server elsewhere uses the place of one of the tablespaces.
void require_no_server(const Path& directory, const std::vector<TablespaceTarget>& tablespaces);
// Not empty: only the directories of this backup's tablespace, and one that is directory's own. A link to it does not
// say so by itself: a copy of a data directory (cp -a, a snapshot) has the links of the original. Its own is one that
// the restore that was cut off there had begun, one that is linked to and that somebody named (mapped), that lies in
// the directory, or that belongs to the place of the original server (pgdata). Throws refused.
void require_own_tablespace(const Path& directory, const TablespaceTarget& tablespace, const Path& pgdata);

}  // namespace coffer::restore
