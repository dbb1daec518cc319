#pragma once
// cofferctl get-wal: gives one WAL file to a recovering server, as its restore_command or by ssh.
//
// It is called for every segment of a recovery, so it runs before the rest of the command line is built and talks to
// nobody. Exit status: 0 given, 1 not held here, 3 an impossible name or a place that cannot be written (Barman's
// three), 126 held but damaged or unreadable: PostgreSQL stops at more than 125 instead of taking it for the end of the
// log.
#include <optional>

#include "lib/base/files.h"

namespace coffer::cofferctl {

// argv[0] is "get-wal". json: messages in Barman's JSON on standard output.
int get_wal(int argc, char** argv, const std::optional<Path>& config, bool json);

}  // namespace coffer::cofferctl
