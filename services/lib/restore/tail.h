#pragma once
// What lies behind the last whole record of an unfinished segment.
//
// A receiver writes a segment from its front into zeros, so behind the last record there may be the front of one more,
// and then nothing. Anything else says that the log was damaged there (or torn by a power cut): recovery would end
// early, without a word. Format: PostgreSQL src/include/access/xlogrecord.h. Thread-safe. Throws io, corrupt.
#include "lib/restore/landmarks.h"

namespace coffer::restore {

// Are there bytes other than zero behind the record that begins at valid_end, up to the end of the piece?
bool log_goes_on_behind(const config::Server& server, const WalChain& chain, const WalPiece& piece, Lsn valid_end);

}  // namespace coffer::restore
