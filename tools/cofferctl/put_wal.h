#pragma once
// cofferctl put-wal: takes one WAL file from an archive_command, by ssh or not (lib/delivery/put_wal.h).
//
// It is called for every segment that a server writes, so it is a program of its own (coffer-put-wal), which cofferctl
// becomes: it needs libarchive, which nobody else should have to load, and nothing of PostgreSQL or of the bus.

namespace coffer::cofferctl {

// argv: [-c FILE] [--json] and the command's own arguments. The exit status: 0 it is here, durably; 1 it is not, and
// nothing was stored; 2 wrong usage; 4 other bytes are held under this name (0 with --accept-conflict).
int put_wal(int argc, char** argv);

}  // namespace coffer::cofferctl
