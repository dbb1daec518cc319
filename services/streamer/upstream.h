#pragma once
// A connection to the server, ready to stream: who it is, what its history is, and its slot.
//
// Everything is asked again at each connection, for with several hosts in the conninfo it may be another server.
// Errors: server_unreachable, server_mismatch (another system than before, or another history than the one
// held), slot_missing, canceled. Receiver's thread only.
#include <functional>
#include <set>

#include "lib/config/config.h"
#include "lib/pg/conn.h"
#include "lib/pg/replication.h"
#include "streamer/start_position.h"

namespace coffer::streamer {

struct Upstream {
    pg::PgConn conn;
    pg::SystemIdentity identity;
    MonotonicTime asked_at;  // its flush position is not older
    wal::SegmentSize size;
    TimelinePath path{1, {}};
    std::vector<pg::HistoryFile> histories;  // of the path
    std::optional<Lsn> slot_restart;
    bool is_standby = false;
    std::size_t host = 0;   // its place in the conninfo
    std::size_t hosts = 1;  // how many there are
};

struct HostChoice {
    std::size_t first = 0;       // the one that answered last: one that does not answer costs its connect_timeout
    std::set<std::size_t> last;  // to be tried after all others
    // Throws for one that is not to be followed, which the error tells; then the others are tried.
    std::function<void(const Upstream&)> accept;
};

// Tries the hosts of the conninfo in turn: connects, compares the system identifier with what the catalogue knows and
// the history files with those held, and finds or (create_slot = auto) makes the slot.
Upstream open_upstream(const config::Server& server, int stop_fd, const HostChoice& choice);

// Stores those that are not held in streaming/, durably; the archiver takes them from there. Not before what the server
// sends is known to go on from what is held: a recovery follows the newest history that it finds.
void store_histories(const config::Server& server, const std::vector<pg::HistoryFile>& histories);
// Fetches that of one timeline, compares (throws server_mismatch) and stores it.
void store_history(pg::PgConn& conn, const config::Server& server, TimelineId timeline);

}  // namespace coffer::streamer
