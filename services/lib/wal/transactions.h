#pragma once
// What the log tells of transactions and restore points: the places at which a recovery can end.
//
// Format: PostgreSQL src/include/access/xact.h, xlog_internal.h, catalog/pg_control.h (13 to 18). Foreign bytes: a
// record whose parts do not fit is no event. Pure functions, but for reading the source.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/wal/record_reader.h"

namespace coffer::wal {

enum class EventKind { commit, abort, restore_point, checkpoint, end_of_recovery };

struct LogEvent {
    EventKind kind = EventKind::commit;
    Lsn start;
    Lsn end;
    std::uint32_t xid = 0;    // commit and abort; of the prepared transaction where it is one
    WallTime time;            // checkpoints: whole seconds, of their beginning
    std::string name;         // restore_point
    TimelineId timeline = 0;  // checkpoint, end_of_recovery: that goes on from here

    [[nodiscard]] bool ends_transaction() const noexcept {
        return kind == EventKind::commit || kind == EventKind::abort;
    }
};

// nullopt for any other record.
std::optional<LogEvent> event_of(const RecordView& record);
// The kinds of records that event_of() needs the payload of.
RecordKinds event_kinds();

// Calls handler for each event from an LSN on; false ends it.
ReadEnd read_events(const LogSource& source, Lsn from, const std::function<bool(const LogEvent&)>& handler);

// The last commit or abort that a recovery starting at from can reach with what is here. Reads from the end, usually
// one segment. nullopt when there is none.
std::optional<LogEvent> last_transaction(const LogSource& source, Lsn from);
std::optional<WallTime> last_commit_time(const LogSource& source, Lsn from);

// As PostgreSQL finds recovery_target_xid: the commit or abort of this transaction.
std::optional<LogEvent> find_commit_of_xid(const LogSource& source, Lsn from, std::uint32_t xid);
// As PostgreSQL finds recovery_target_name: the first one of the name.
std::optional<LogEvent> find_restore_point(const LogSource& source, Lsn from, std::string_view name);
// As PostgreSQL finds recovery_target_time: the first commit or abort later than time (inclusive target), or not
// earlier (exclusive); recovery ends before it. nullopt: the log held here does not reach the target.
std::optional<LogEvent> find_stop_at_time(const LogSource& source, Lsn from, WallTime time, bool inclusive);

}  // namespace coffer::wal
