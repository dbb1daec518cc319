#pragma once
// errors/: where files go that must not enter the archive, so that they are neither lost nor in the way.
//
// Names are Barman's: NAME.YYYYMMDDTHHMMSSZ.duplicate (the archive has other bytes under this name) and ….unknown (all
// else), and Coffer's ….damaged (lay in the archive and is not what was archived any more); its check counts every file
// there, hence the reasons are kept elsewhere: one line for each file in meta/archive-errors.log (file in errors/, tab,
// reason), which is only for people and may be removed.
#include <string>

#include "lib/base/clock.h"
#include "lib/config/config.h"

namespace coffer::wal {

enum class QuarantineKind { duplicate, unknown, damaged };

// Moves the file durably, across file systems too; returns where it is. The source stays when it throws.
Path quarantine(const config::Server& server, const Path& source, QuarantineKind kind, const std::string& reason,
                const Clock& clock);
// The same for a file that has another name than the WAL it holds.
Path quarantine_as(const config::Server& server, const Path& source, const std::string& name, QuarantineKind kind,
                   const std::string& reason, const Clock& clock);
// Files in errors/; 0 when there is no such directory.
std::uint64_t count_errors(const config::Server& server);

}  // namespace coffer::wal
