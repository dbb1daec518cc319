#include "lib/pg/replication.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace coffer::pg {
namespace {

constexpr std::chrono::seconds answer_limit{30};

PgConn::Deadline in_time() {
    return std::chrono::steady_clock::now() + answer_limit;
}

Lsn lsn_of(std::string_view text) {
    const auto lsn = Lsn::parse(text);
    if (!lsn) throw Error(ErrorCode::protocol, "the server's answer is not an LSN: " + std::string(text.substr(0, 40)));
    return *lsn;
}

TimelineId timeline_of(std::uint64_t number) {
    if (number == 0 || number > 0xFFFFFFFFU) throw Error(ErrorCode::protocol, "the server's answer is not a timeline");
    return static_cast<TimelineId>(number);
}

SlotState slot_of(const PgResult& result) {
    SlotState slot;
    if (result.rows() == 0) return slot;
    const auto type = result.value(0, result.column("slot_type"));
    if (!type) return slot;
    slot.exists = true;
    slot.type = *type;
    if (const auto lsn = result.value(0, result.column("restart_lsn"))) slot.restart_lsn = lsn_of(*lsn);
    return slot;
}

}  // namespace

SystemIdentity identify_system(PgConn& conn) {
    const PgResult result = conn.exec("IDENTIFY_SYSTEM", in_time());
    if (result.rows() != 1) throw Error(ErrorCode::protocol, "IDENTIFY_SYSTEM did not answer with one row");
    return {result.number(0, result.column("systemid")), timeline_of(result.number(0, result.column("timeline"))),
            lsn_of(result.text(0, result.column("xlogpos")))};
}

bool is_standby(PgConn& conn) {
    if (const auto reported = conn.reported("in_hot_standby")) return *reported == "on";
    // Before PostgreSQL 14; a primary that is read-only by default is taken for a standby then.
    return conn.exec("SHOW transaction_read_only", in_time()).text(0, 0) == "on";
}

std::optional<wal::SegmentSize> parse_segment_size(std::string_view text) noexcept {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number > (1ULL << 40)) return std::nullopt;
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    if (unit == "MB") return wal::SegmentSize::from_bytes(number << 20);
    if (unit == "GB") return wal::SegmentSize::from_bytes(number << 30);
    if (unit == "kB") return wal::SegmentSize::from_bytes(number << 10);
    if (unit == "B" || unit.empty()) return wal::SegmentSize::from_bytes(number);
    return std::nullopt;
}

wal::SegmentSize wal_segment_size(PgConn& conn) {
    const PgResult result = conn.exec("SHOW wal_segment_size", in_time());
    const auto size = parse_segment_size(result.text(0, 0));
    if (!size)
        throw Error(ErrorCode::protocol, "the server's wal_segment_size is none: " + std::string(result.text(0, 0)));
    return *size;
}

std::string quoted_slot(const std::string& name) {
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    if (name.empty() || name.size() > 63 || !std::all_of(name.begin(), name.end(), allowed)) {
        throw Error(ErrorCode::invalid_configuration, "not a name for a replication slot", name,
                    "use lower case letters, digits and the underscore, at most 63");
    }
    return '"' + name + '"';
}

SlotState read_slot(PgConn& conn, const std::string& name) {
    if (conn.major_version() < 15) {
        throw Error(ErrorCode::not_supported,
                    "servers before PostgreSQL 15 do not tell of a slot on a replication connection");
    }
    const PgResult result = conn.exec("READ_REPLICATION_SLOT " + quoted_slot(name), in_time());
    SlotState slot = slot_of(result);
    if (slot.exists) {
        if (result.value(0, result.column("restart_tli"))) {
            slot.restart_timeline = timeline_of(result.number(0, result.column("restart_tli")));
        }
    }
    return slot;
}

SlotState query_slot(PgConn& sql_conn, const std::string& name) {
    return slot_of(sql_conn.exec(
        "SELECT slot_type, restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {name}, in_time()));
}

bool create_physical_slot(PgConn& conn, const std::string& name) {
    const char* reserve = conn.major_version() >= 15 ? "(RESERVE_WAL)" : "RESERVE_WAL";
    const PgResult result =
        conn.try_exec(fmt::format("CREATE_REPLICATION_SLOT {} PHYSICAL {}", quoted_slot(name), reserve), in_time());
    if (result.ok()) return true;
    if (result.sqlstate() == "42710") return false;  // duplicate_object
    throw result.error("cannot create replication slot " + name);
}

std::optional<HistoryFile> timeline_history(PgConn& conn, TimelineId timeline) {
    if (timeline <= 1) return std::nullopt;
    const PgResult result = conn.try_exec(fmt::format("TIMELINE_HISTORY {}", timeline), in_time());
    if (!result.ok()) {
        if (result.sqlstate() == "58P01") return std::nullopt;  // undefined_file
        throw result.error(fmt::format("cannot get the history of timeline {}", timeline));
    }
    HistoryFile history{std::string(result.text(0, result.column("filename"))),
                        std::string(result.text(0, result.column("content")))};
    if (history.name != wal::history_name(timeline)) {
        throw Error(ErrorCode::protocol, "the server sent the history of another timeline", history.name.substr(0, 40));
    }
    return history;
}

PgResult start_replication(PgConn& conn, const std::string& slot, Lsn start, TimelineId timeline) {
    const std::string with_slot = slot.empty() ? "" : "SLOT " + quoted_slot(slot) + " ";
    return conn.try_exec(
        fmt::format("START_REPLICATION {}PHYSICAL {} TIMELINE {}", with_slot, start.to_string(), timeline), in_time());
}

std::optional<NextTimeline> end_of_stream(PgConn& conn) {
    std::optional<NextTimeline> next;
    for (;;) {
        const PgResult result = conn.next_result(in_time());
        if (!result) return next;
        if (!result.ok()) throw result.error("the server ended the stream");
        if (result.status() == PGRES_TUPLES_OK && result.rows() == 1) {
            next = NextTimeline{timeline_of(result.number(0, 0)), lsn_of(result.text(0, 1))};
        }
    }
}

}  // namespace coffer::pg
