#pragma once
// A connection to the server, ready to stream: who it is, what its history is, and its slot.
//
// Everything is asked again at each connection, for with several hosts in the conninfo it may be another server.
// Errors: server_unreachable, server_mismatch (another system than before, or another history than the one
// held), slot_missing, canceled. Receiver's thread only.
#include "lib/config/config.h"
#include "lib/pg/conn.h"
#include "lib/pg/replication.h"
#include "streamer/start_position.h"

namespace coffer::streamer {

struct Upstream {
    pg::PgConn conn;
    pg::SystemIdentity identity;
    wal::SegmentSize size;
    TimelinePath path{1, {}};
    std::optional<Lsn> slot_restart;
    bool is_standby = false;
};
    std::vector<pg::HistoryFile> histories;  // of the path

// Connects, compares the system identifier with what the catalogue knows, stores missing history files durably, and
// finds or (create_slot = auto) makes the slot.
Upstream open_upstream(const config::Server& server, int stop_fd);

// Stores those that are not held in streaming/, durably; the archiver takes them from there. Not before what the server
// sends is known to go on from what is held: a recovery follows the newest history that it finds.
void store_histories(const config::Server& server, const std::vector<pg::HistoryFile>& histories);
// Fetches that of one timeline, compares (throws server_mismatch) and stores it.
void store_history(pg::PgConn& conn, const config::Server& server, TimelineId timeline);

}  // namespace coffer::streamer
