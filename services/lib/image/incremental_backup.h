#pragma once
// What an incremental base backup (PostgreSQL 17 and later) needs beyond a whole one: the manifest of the backup that
// it builds on is given to the server first; and what came becomes a whole image, with a manifest of its own.
//
// Source: PostgreSQL documentation, "Streaming Replication Protocol", UPLOAD_MANIFEST and BASE_BACKUP; pg_combinebackup
// for what the result has to be. One thread.
#include <string>

#include "lib/base/files.h"
#include "lib/image/tree_writer.h"
#include "lib/pg/conn.h"

namespace coffer::image {

// What a backup has, by its manifest. Throws corrupt; not_supported where a file has no CRC-32C.
ReceivedFiles files_of_manifest(const Path& manifest);

// UPLOAD_MANIFEST. conn: in replication mode, to PostgreSQL 17 or later. Throws what the server says.
void upload_manifest(pg::PgConn& conn, const Path& manifest);

// A backup_label without the lines that make PostgreSQL ask for the backups before.
std::string without_increment_lines(const std::string& label);

// To be called when all was received and held against the server's manifest: takes the lines that make it incremental
// out of backup_label, and writes the manifest that the whole image has. Returns its checksum.
std::string finish_increments(const TreeWriter& writer);

}  // namespace coffer::image
