#pragma once
// cofferctl serve-wal: answers requests for one server's WAL on standard input and output, for as long as the ssh
// connection stays that it was started by (lib/wal/wire.h says how).
//
// Like get-wal it runs before the rest of the command line is built and talks to nobody. Exit status: 0 the client has
// ended the connection, or was quiet for too long; 1 the server is unknown, or the client went away in the middle;
// 2 wrong arguments, or a request that is none.
#include <optional>

#include "lib/base/files.h"

namespace coffer::cofferctl {

// argv[0] is "serve-wal".
int serve_wal(int argc, char** argv, const std::optional<Path>& config);

}  // namespace coffer::cofferctl
