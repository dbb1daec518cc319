#pragma once
// What a backup's record says of the server, asked by SQL.
#include <cstdint>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/image/backup_stream.h"
#include "lib/pg/conn.h"

namespace coffer::job {

struct WalSummary {
    TimelineId timeline = 0;
    Lsn start, end;
};

struct ServerFacts {
    std::uint32_t version = 0;  // 150018
    bool data_checksums = false;
    bool page_format_known = false;     // pages of 8 kB in files of 1 GB
    bool summarize_wal = false;         // PostgreSQL 17 and later
    std::vector<WalSummary> summaries;  // that the server has; each begins and ends where a checkpoint does
    bool in_recovery = false;
    bool can_read_files = false;  // pg_read_binary_file, for recheck_pages()
    wal::SegmentSize segment_size;
    // Empty where the role may not read them (pg_read_all_settings).
    std::string data_directory, config_file, hba_file, ident_file;
};

ServerFacts ask_server(pg::PgConn& conn);

// What the record says of the tablespaces that a base backup holds: those that the server listed when it began, for
// others may have come or gone since anybody asked. One that was dropped meanwhile has its oid for a name.
std::vector<catalogue::Tablespace> name_tablespaces(pg::PgConn& conn, const std::vector<image::TablespaceRow>& rows);

// Of pages that were wrong when the backup read them, those that are damaged in truth. A page that the server was
// writing in the same moment is read again: it is whole now and newer than the backup's begin, so WAL mends it. Where
// the role may not read files all stay.
std::vector<catalogue::BadPage> recheck_pages(pg::PgConn& conn, std::vector<catalogue::BadPage> suspects, Lsn begin);

}  // namespace coffer::job
