#pragma once
// The commands of PostgreSQL's replication protocol that a physical receiver needs, for servers 13 to 18.
//
// Source: PostgreSQL documentation, "Streaming Replication Protocol". All take a connection in replication mode, wait
// at most 30 s, and throw as PgConn does, or protocol when an answer has not the documented shape.
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/lsn.h"
#include "lib/pg/conn.h"
#include "lib/wal/segment_name.h"

namespace coffer::pg {

struct SystemIdentity {
    std::uint64_t system_identifier = 0;
    TimelineId timeline = 0;
    Lsn flush_position;  // a standby's: what it has replayed to
};
SystemIdentity identify_system(PgConn& conn);

// In recovery, as a standby is.
bool is_standby(PgConn& conn);

// "16MB" as SHOW prints it; nullopt for anything that no wal_segment_size is.
std::optional<wal::SegmentSize> parse_segment_size(std::string_view text) noexcept;
wal::SegmentSize wal_segment_size(PgConn& conn);

struct SlotState {
    bool exists = false;
    std::string type;  // "physical"
    std::optional<Lsn> restart_lsn;
    std::optional<TimelineId> restart_timeline;
};
// PostgreSQL 15 and later (READ_REPLICATION_SLOT); throws not_supported for older ones.
SlotState read_slot(PgConn& conn, const std::string& name);
// The same by pg_replication_slots, on an ordinary connection; restart_timeline is never known here.
SlotState query_slot(PgConn& sql_conn, const std::string& name);

// Reserves WAL from now on. False when a slot of that name is there already.
bool create_physical_slot(PgConn& conn, const std::string& name);

struct HistoryFile {
    std::string name;  // "00000002.history"
    std::string content;
};
// nullopt when the server has none (timeline 1, or removed).
std::optional<HistoryFile> timeline_history(PgConn& conn, TimelineId timeline);

// Begins streaming: afterwards the connection is in COPY mode both ways. The refusal of the server is a result.
PgResult start_replication(PgConn& conn, const std::string& slot, Lsn start, TimelineId timeline);

// What follows the end of a timeline.
struct NextTimeline {
    TimelineId timeline = 0;
    Lsn begin;
};
// Reads the results behind CopyDone. nullopt when the server ended the stream without naming a successor.
std::optional<NextTimeline> end_of_stream(PgConn& conn);

// Quoted for a command; throws invalid_configuration for what PostgreSQL does not allow as a slot's name.
std::string quoted_slot(const std::string& name);

}  // namespace coffer::pg
