#pragma once
// A segment that is absent, or only partly here, although what follows on its timeline is held: to a recovery that must
// not be told as the end of the log, for it would end before it. Thread-safe; reads directories.
#include <optional>
#include <string>

#include "lib/config/config.h"

namespace coffer::wal {

// Throws wal_gap when the named segment is such a hole; names that are no segment's never are. Segments from before a
// timeline began are never on it, and PostgreSQL asks for them first on its way. allow_partial: the unfinished segment
// counts as held where it may be given out.
void refuse_hole(const config::Server& server, const std::string& name, bool allow_partial);

}  // namespace coffer::wal
