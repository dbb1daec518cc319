#include "lib/wal/transactions.h"

#include <algorithm>

#include "lib/wal/little_endian.h"

namespace coffer::wal {
namespace {

constexpr std::int64_t microseconds_1970_to_2000 = 946684800LL * 1000000;

// Kinds within the transaction manager, and the optional parts that its records announce.
constexpr std::uint8_t xact_kind_mask = 0x70;
constexpr std::uint8_t xact_has_parts = 0x80;
enum XactKind : std::uint8_t {
    xact_commit = 0x00,
    xact_abort = 0x20,
    xact_commit_prepared = 0x30,
    xact_abort_prepared = 0x40
};
constexpr std::uint32_t part_database = 1;
constexpr std::uint32_t part_subtransactions = 2;
constexpr std::uint32_t part_relations = 4;
constexpr std::uint32_t part_invalidations = 8;
constexpr std::uint32_t part_two_phase = 16;
constexpr std::uint32_t part_dropped_statistics = 256;

constexpr std::uint8_t xlog_kind_mask = 0xF0;
enum XlogKind : std::uint8_t {
    xlog_checkpoint_shutdown = 0x00,
    xlog_checkpoint_online = 0x10,
    xlog_restore_point = 0x70,
    xlog_end_of_recovery = 0x90,
};

// PostgreSQL's timestamps count from 2000; values at the rim of the range must not overflow.
WallTime time_of(std::uint64_t raw) noexcept {
    const auto since_2000 = static_cast<std::int64_t>(raw);
    const std::int64_t highest = INT64_MAX - microseconds_1970_to_2000;
    return WallTime(std::chrono::microseconds(std::min(since_2000, highest) + microseconds_1970_to_2000));
}

WallTime time_of_seconds(std::uint64_t raw) noexcept {
    const std::int64_t limit = INT64_MAX / 1000000;
    return WallTime(std::chrono::seconds(std::clamp(static_cast<std::int64_t>(raw), -limit, limit)));
}

// Walks over the optional parts of a commit or abort to the number of the prepared transaction.
std::optional<std::uint32_t> prepared_xid(ByteSpan data, std::uint32_t major_version) noexcept {
    std::size_t at = 8;
    if (data.size() < at + 4) return std::nullopt;
    const std::uint32_t parts = load32(data, at);
    at += 4;
    if ((parts & part_two_phase) == 0) return std::nullopt;
    if ((parts & part_database) != 0) at += 8;
    const struct {
        std::uint32_t part;
        std::uint64_t item_size;
    } lists[] = {{part_subtransactions, 4},
                 {part_relations, 12},
                 {part_dropped_statistics, major_version >= 18 ? 16U : 12U},
                 {part_invalidations, 16}};
    for (const auto& list : lists) {
        if ((parts & list.part) == 0) continue;
        if (at > data.size() || data.size() - at < 4) return std::nullopt;
        const std::uint64_t bytes = load32(data, at) * list.item_size;
        at += 4;
        if (bytes > data.size() - at) return std::nullopt;
        at += bytes;
    }
    if (at > data.size() || data.size() - at < 4) return std::nullopt;
    return load32(data, at);
}

std::optional<LogEvent> transaction_event(const RecordView& record, ByteSpan data) {
    const std::uint8_t kind = record.info & xact_kind_mask;
    const bool commit = kind == xact_commit || kind == xact_commit_prepared;
    const bool prepared = kind == xact_commit_prepared || kind == xact_abort_prepared;
    if ((!commit && kind != xact_abort && !prepared) || data.size() < 8) return std::nullopt;
    LogEvent event{commit ? EventKind::commit : EventKind::abort, record.start, record.end, record.xid, {}, {}, 0};
    event.time = time_of(load64(data, 0));
    if (prepared) {
        if ((record.info & xact_has_parts) == 0) return std::nullopt;
        const auto xid = prepared_xid(data, record.major_version);
        if (!xid) return std::nullopt;
        event.xid = *xid;
    }
    return event;
}

std::optional<LogEvent> log_event(const RecordView& record, ByteSpan data) {
    LogEvent event{EventKind::checkpoint, record.start, record.end, 0, {}, {}, 0};
    switch (record.info & xlog_kind_mask) {
        case xlog_checkpoint_shutdown:
        case xlog_checkpoint_online:
            if (data.size() < 72) return std::nullopt;
            event.timeline = load32(data, 8);
            event.time = time_of_seconds(load64(data, 64));
            return event;
        case xlog_restore_point: {
            if (data.size() < 8 + 64) return std::nullopt;
            event.kind = EventKind::restore_point;
            event.time = time_of(load64(data, 0));
            const char* const name = reinterpret_cast<const char*>(data.data()) + 8;
            event.name.assign(name, ::strnlen(name, 64));
            return event;
        }
        case xlog_end_of_recovery:
            if (data.size() < 12) return std::nullopt;
            event.kind = EventKind::end_of_recovery;
            event.time = time_of(load64(data, 0));
            event.timeline = load32(data, 8);
            return event;
        default:
            return std::nullopt;
    }
}

template <typename Wanted>
std::optional<LogEvent> find_event(const LogSource& source, Lsn from, Wanted&& wanted) {
    std::optional<LogEvent> found;
    read_events(source, from, [&](const LogEvent& event) {
        if (wanted(event)) found = event;
        return !found;
    });
    return found;
}

// The number of the last segment that can be read from `from` without a hole.
std::optional<std::uint64_t> last_reachable(const LogSource& source, Lsn from) {
    std::optional<std::uint64_t> last;
    for (std::uint64_t number = from.value / source.size.bytes();; ++number) {
        const auto chosen = source.choose(number);
        if (!chosen) return last;
        last = number;
        if (chosen->partial || chosen->limit) return last;
    }
}

}  // namespace

RecordKinds event_kinds() {
    RecordKinds kinds;
    kinds.set(rm_xlog);
    kinds.set(rm_xact);
    return kinds;
}

std::optional<LogEvent> event_of(const RecordView& record) {
    if (record.rmid != rm_xlog && record.rmid != rm_xact) return std::nullopt;
    const auto data = record.main_data();
    if (!data) return std::nullopt;
    return record.rmid == rm_xact ? transaction_event(record, *data) : log_event(record, *data);
}

ReadEnd read_events(const LogSource& source, Lsn from, const std::function<bool(const LogEvent&)>& handler) {
    return read_records(source, from, event_kinds(), [&handler](const RecordView& record) {
        const auto event = event_of(record);
        return !event || handler(*event);
    });
}

std::optional<LogEvent> last_transaction(const LogSource& source, Lsn from) {
    const auto last = last_reachable(source, from);
    if (!last) return std::nullopt;
    const std::uint64_t bytes = source.size.bytes();
    for (std::uint64_t number = *last + 1; number-- > from.value / bytes;) {
        // Records that begin in this segment; the last of them may end in the next one.
        const Lsn begin = std::max(from, Lsn{number * bytes});
        const Lsn end{(number + 1) * bytes};
        std::optional<LogEvent> found;
        read_records(source, begin, event_kinds(), [&](const RecordView& record) {
            if (record.start >= end) return false;
            const auto event = event_of(record);
            if (event && event->ends_transaction()) found = event;
            return true;
        });
        if (found) return found;
    }
    return std::nullopt;
}

std::optional<WallTime> last_commit_time(const LogSource& source, Lsn from) {
    const auto last = last_transaction(source, from);
    return last ? std::optional(last->time) : std::nullopt;
}

std::optional<LogEvent> find_commit_of_xid(const LogSource& source, Lsn from, std::uint32_t xid) {
    return find_event(source, from,
                      [xid](const LogEvent& event) { return event.ends_transaction() && event.xid == xid; });
}

std::optional<LogEvent> find_restore_point(const LogSource& source, Lsn from, std::string_view name) {
    return find_event(source, from, [name](const LogEvent& event) {
        return event.kind == EventKind::restore_point && event.name == name;
    });
}

std::optional<LogEvent> find_stop_at_time(const LogSource& source, Lsn from, WallTime time, bool inclusive) {
    return find_event(source, from, [time, inclusive](const LogEvent& event) {
        return event.ends_transaction() && (event.time > time || (!inclusive && event.time == time));
    });
}

}  // namespace coffer::wal
