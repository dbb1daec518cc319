#pragma once
// meta/coffer-wal-gaps: which WAL of a server nobody has any more, because the server removed it before it was
// received.
//
// A line for each: seconds since 1970, then "timeline 1 from 0/3000000 to 0/5000000". A gap matters until a later
// backup begins behind it: a recovery from that one never reads what is missing.
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/lsn.h"
#include "lib/config/config.h"

namespace coffer::wal {

struct WalGap {
    TimelineId timeline = 0;
    Lsn from;
    Lsn to;
    [[nodiscard]] std::string to_string() const;  // "timeline 1 from 0/3000000 to 0/5000000"
    bool operator==(const WalGap&) const = default;
};

// Oldest first. Lines that are none are left out; throws io.
std::vector<WalGap> read_gaps(const config::Server& server);
// Durable when it returns. A gap that is noted already stays as it is; one from the same position to another is
// replaced: its end has been found to lie elsewhere. Throws io, no_space.
void note_gap(const config::Server& server, const WalGap& gap, WallTime now);

}  // namespace coffer::wal
