#pragma once
// The process that stays in front of a recovery: it keeps one ssh connection and the next few segments.
//
// A call that finds none starts it (fork, session of its own, no descriptor of the caller's). It answers one kind of
// question on its socket, a `get` line of lib/wal/wire.h without `zstd`, by one line: `ready INODE SIZE CHANGED` (the
// file lies in the spool under its name, and is the caller's), or what the box said: `absent NAME`, `error NAME KIND
// TEXT`. From each segment that is asked for it reads on from there; other timelines and earlier names are a new place
// to read on from. Only whole segments are read ahead, the unfinished one never, for it would be old when it is asked
// for.
//
// It ends when nobody asked for a minute, when the server that it was started under ends, when that server has left
// recovery, or when the box turns out to know no serve-wal; then nothing of it stays. All of it is one thread that
// waits in poll(); memory is a few MB, and in the spool at most the segments read ahead, the one handed over and one
// coming in.
#include "lib/base/unique_fd.h"
#include "tools/clients/box.h"
#include "tools/clients/spool.h"

namespace coffer::clients {

// Returns in the caller, never in the process that it starts. Throws io.
void start_read_ahead(const Spool& spool, const Box& box, unsigned ahead, UniqueFd lock, UniqueFd listener);

}  // namespace coffer::clients
