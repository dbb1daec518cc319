#pragma once
// How the tree of a new backup begins: as the clone of the newest image, as the tree of an attempt that was cut off
// (which was one, and is nearer to what is wanted), or empty.
//
// Whatever it begins with, the backup writes what differs and removes what is surplus (tree_writer.h), so a base need
// not be right, only alike. One that cannot be cloned costs time and space, never the backup.
#include <functional>
#include <optional>
#include <string>

#include "lib/catalogue/catalogue.h"

namespace coffer::job {

struct ImageStart {
    std::string base;                      // the backup that it was cloned or taken over from; empty: none
    std::string clone;                     // how (Extra::clone)
    std::optional<WallTime> full_read_at;  // of the base
};

// Fills base/<ID> of the backup, whose lock is held. base: the backup that an incremental one builds on, whose clone it
// has to be; empty: whatever is nearest. Throws no_space and canceled; anything else that goes wrong with a
// base is logged, and the tree begins empty.
ImageStart begin_image(const config::Server& server, const catalogue::BackupInfo& backup, const std::string& base,
                       const std::function<bool()>& canceled);

// What is finished nobody writes to any more: read-only where the file system can (btrfs). Durable with the next sync.
void seal_image(const Path& backup_path);

}  // namespace coffer::job
