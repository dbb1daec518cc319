#pragma once
// Is a backup at rest still what was backed up? Holds its files against its manifest (as pg_verifybackup does: missing,
// of another size, of another checksum, too many), every page against its checksum, and its WAL against what the
// archiver had proven.
//
// Beyond pg_verifybackup: postgresql.auto.conf is held against the manifest too, since nobody writes to a backup; pages
// are named by block; the WAL of the backup is looked at. Pages that were torn while the backup read them (their LSN
// lies between its begin and end) are no damage: WAL has them whole. A backup without manifest (rsync) has its pages
// looked at only. The caller holds a lease. Errors: not_supported (Barman's tar format and increments), canceled, io.
#include <functional>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"
#include "lib/verify/file_content.h"

namespace coffer::verify {

struct Report {
    std::uint64_t files = 0;  // looked at
    std::uint64_t bytes = 0;  // read
    std::uint64_t pages = 0;
    std::uint64_t wal_files = 0;
    std::vector<Finding> findings;   // by path; empty: all is well
    std::vector<std::string> notes;  // what could not be checked
};

struct Control {
    unsigned jobs = 1;
    std::function<bool()> canceled;                   // may be empty
    std::function<void(std::uint64_t total)> begin;   // bytes to read; may be empty
    std::function<void(std::uint64_t done)> advance;  // may be empty; called from any thread
};

Report check_backup(const config::Server& server, const catalogue::BackupInfo& backup, const Control& control);

}  // namespace coffer::verify
