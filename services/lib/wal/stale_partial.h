#pragma once
// SEG.partial in streaming/ that nobody will finish: the archive has the whole of SEG, from archive_command, and the
// server is not streamed from any more.
//
// One is removed only when the archived segment is sound and holds all of its bytes in their place (zeros behind them
// are room for what never came), and nobody has it open for writing. While a server is streamed from, the file is the
// streamer's, which may go on with it at any time: then nothing is looked at. Thread-safe.
#include <string>
#include <vector>

#include "lib/config/config.h"

namespace coffer::wal {

// Returns the names of what was removed, durably. Throws io.
std::vector<std::string> remove_stale_partials(const config::Server& server);

}  // namespace coffer::wal
