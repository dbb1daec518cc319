#pragma once
// The newest timeline that was streamed, so that an old primary that comes back is told from the server that replaced
// it.
//
// What archive_command brings does not count: a clone that was promoted elsewhere often still has its origin's one, and
// must not keep that from being streamed. So it is noted in meta/coffer-timeline (a decimal number and a line break)
// before the first byte of a timeline is acknowledged. Where nothing is noted, nothing was ever streamed by Coffer, and
// all that is held counts, however it came. Receiver's thread only.
#include "lib/base/lsn.h"
#include "lib/config/config.h"

namespace coffer::streamer {

// The newest timeline of which segments are held in streaming/ or the archive, not newer than what is noted: whoever
// moves the files of a timeline away takes it back. By the names alone; 0 where there is none. Throws io.
TimelineId newest_followed(const config::Server& server);

// Durable; nothing to do where that or a newer one is noted. Throws io, no_space.
void note_followed(const config::Server& server, TimelineId timeline);

}  // namespace coffer::streamer
