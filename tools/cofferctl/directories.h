#pragma once
// Whether this user finds a server's catalogue where the configuration says. Absent directories are empty ones to the
// libraries, as they must be for a new server; to people an archive that is gone is worth a word.
#include <optional>

#include "lib/base/error.h"
#include "lib/config/config.h"

namespace coffer::cofferctl {

// Throws permission_denied for a directory that this user may not read.
void refuse_unreadable(const config::Server& server);

// What to say of a server whose backups are there but whose WAL archive is not; nullopt when all is well.
std::optional<Error> absent_archive(const config::Server& server);

}  // namespace coffer::cofferctl
