#pragma once
// Takes a backup out of one file into the catalogue: all of it, or nothing.
//
// The files lie hidden (Catalogue::begin_import) until every byte was verified; then the archiver, which owns the
// archive, takes the WAL and makes the backup visible. An import that ends before leaves nothing; of one that is killed
// the archiver removes what is left, or the next try does. Root becomes the owner of the catalogue first.
#include "services/job/progress.h"
#include "services/job/request.h"

namespace coffer::job {

struct Imported {
    std::string backup_id;
    bool already_there = false;  // of this very file
    std::uint64_t bytes = 0;
};

// Throws corrupt, not_supported (no export of Coffer's, or a newer one's), server_mismatch, refused, no_space, io,
// target_unreachable (the archiver does not run), canceled.
Imported import_backup(const JobRequest& request, ProgressReporter& progress);

}  // namespace coffer::job
