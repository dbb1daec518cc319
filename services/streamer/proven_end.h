#pragma once
// Up to where an unfinished segment holds records that are proven, the record at its head included.
//
// The rest of a record that began in the segment before can be followed by length only, and a crash may have left zeros
// in it: the CRC is at its beginning. So the segment before is read too, wherever it lies; where it is not here,
// nothing is proven of a segment that begins with such a rest, and it is received again. Memory is one page and one
// record: a disk that cannot be read is an error (io) of this server, not the end of the process.
#include "lib/config/config.h"
#include "lib/wal/segment_check.h"

namespace coffer::streamer {

Lsn proven_end(const config::Server& server, const Path& partial, const wal::Expected& expected);

}  // namespace coffer::streamer
