#include "streamer/upstream.h"

#include <limits>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/pg/conninfo.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "lib/wal/timeline_history.h"
#include "streamer/held_tail.h"

namespace coffer::streamer {
namespace {

// After that much silence of the box the server ends its sender, and the slot is free for the next connection. Where
// the network was cut silently, that is how long commits wait at least. Several status updates fit into it.
constexpr const char* sender_timeout = "-c wal_sender_timeout=10s";

std::vector<std::string> hosts_of(const config::Server& server) {
    return pg::attempts_of(server.wal_streaming_conninfo, {server.streaming_archiver_name, true, sender_timeout});
}

std::vector<std::size_t> order_of(std::size_t hosts, std::size_t first, const std::set<std::size_t>& last) {
    std::vector<std::size_t> order;
    if (first < hosts && !last.contains(first)) order.push_back(first);
    for (std::size_t host = 0; host < hosts; ++host)
        if (!last.contains(host) && host != first) order.push_back(host);
    for (std::size_t host = 0; host < hosts; ++host)
        if (last.contains(host)) order.push_back(host);
    return order;
}

// Of two hosts' failures: what both say. As long as one of them does not answer it may come back any moment, and a
// person is not needed before all have answered.
Error both(const Error& before, const Error& now) {
    const bool gone = before.code() == ErrorCode::server_unreachable || now.code() == ErrorCode::server_unreachable;
    const bool first_answered = before.code() != ErrorCode::server_unreachable;
    return Error(gone ? ErrorCode::server_unreachable : before.code(), std::string(before.what()) + "; " + now.what(),
                 "", first_answered ? before.remedy() : now.remedy());
}

// Servers before 15 tell of a slot only on an ordinary connection. Without one (the role may be allowed to replicate
// only), what the slot keeps stays unknown, which matters only when nothing is held here yet.
std::optional<pg::SlotState> ask_for_slot(pg::PgConn& conn, const config::Server& server, int stop_fd) {
    if (conn.major_version() >= 15) return pg::read_slot(conn, *server.slot_name);
    if (server.wal_conninfo.empty()) return std::nullopt;
    try {
        pg::PgConn sql = pg::PgConn::connect({server.wal_conninfo, server.streaming_archiver_name, false, stop_fd});
        return pg::query_slot(sql, *server.slot_name);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        log_debug("{}: cannot look at the slot: {}", server.name, error.what());
        return std::nullopt;
    }
}

std::optional<Lsn> ensure_slot(pg::PgConn& conn, const config::Server& server, int stop_fd) {
    if (!server.slot_name) return std::nullopt;
    auto slot = ask_for_slot(conn, server, stop_fd);
    if (slot && slot->exists && slot->type != "physical") {
        throw Error(ErrorCode::invalid_configuration, "replication slot is not a physical one", *server.slot_name,
                    "give another name as slot_name");
    }
    if ((!slot || !slot->exists) && server.create_slot) {
        if (pg::create_physical_slot(conn, *server.slot_name)) {
            log_info("{}: created replication slot {}", server.name, *server.slot_name);
        }
        slot = ask_for_slot(conn, server, stop_fd);
    }
    if (slot && !slot->exists) {
        throw Error(ErrorCode::slot_missing, "replication slot does not exist", *server.slot_name,
                    "set create_slot = auto, or run: SELECT pg_create_physical_replication_slot('" + *server.slot_name +
                        "', true)");
    }
    return slot ? slot->restart_lsn : std::nullopt;
}

bool is_held(const config::Server& server, const std::string& history) {
    std::error_code ignored;
    return std::filesystem::exists(server.wals_directory / history, ignored) ||
           std::filesystem::exists(server.streaming_wals_directory / history, ignored);
}

constexpr std::uint64_t most_of_history = 16 << 20;

void compare_history(const config::Server& server, const pg::HistoryFile& theirs) {
    const auto ours = wal::find_now(server, theirs.name, false);
    if (!ours) return;
    try {
        const std::string content = wal::decompress_file(ours->path, most_of_history);
        if (content == theirs.content) return;
        // Compressed or encrypted with what Barman knows and Coffer does not, or damaged: it says nothing.
        const std::string where = ours->path.string();
        const auto history = wal::TimelineHistory::parse(content, std::numeric_limits<TimelineId>::max(), where);
        if (history.ancestors.empty()) throw Error(ErrorCode::corrupt, "timeline history is empty", where);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_supported) throw;
        log_warning("{}: {} cannot be compared with the server's: {}", server.name, theirs.name, error.full_text());
        return;
    }
    throw Error(ErrorCode::server_mismatch, "the histories have diverged: the server has another " + theirs.name,
                ours->path.string(), diverged_remedy);
}

// The older ones first. Where the present one is held, they have been compared already.
std::vector<pg::HistoryFile> compared_histories(pg::PgConn& conn, const config::Server& server,
                                                const TimelinePath& path,
                                                const std::optional<pg::HistoryFile>& present) {
    std::vector<pg::HistoryFile> histories;
    const bool known = present && is_held(server, present->name);
    for (const auto& step : path.steps()) {
        if (!step.end || step.timeline <= 1) continue;
        if (known && is_held(server, wal::history_name(step.timeline))) continue;
        if (auto history = pg::timeline_history(conn, step.timeline)) histories.push_back(std::move(*history));
    }
    if (present) histories.push_back(*present);
    for (const auto& history : histories) compare_history(server, history);
    return histories;
}

}  // namespace

void store_histories(const config::Server& server, const std::vector<pg::HistoryFile>& histories) {
    for (const auto& history : histories) {
        if (is_held(server, history.name)) continue;
        write_file_durably(server.streaming_wals_directory / history.name, history.content);
        kill_point("streamer.history.stored");
        log_info("{}: stored {}", server.name, history.name);
    }
}

void store_history(pg::PgConn& conn, const config::Server& server, TimelineId timeline) {
    const auto history = pg::timeline_history(conn, timeline);
    if (!history) return;
    compare_history(server, *history);
    store_histories(server, {*history});
}

namespace {

Upstream open_host(const config::Server& server, int stop_fd, Upstream upstream, const HostChoice& choice) {
    upstream.asked_at = std::chrono::steady_clock::now();
    upstream.identity = pg::identify_system(upstream.conn);
    const catalogue::Catalogue catalogue(server);
    catalogue.create_directories();
    catalogue.confirm_identity({upstream.identity.system_identifier, upstream.conn.major_version()});
    upstream.size = pg::wal_segment_size(upstream.conn);

    upstream.is_standby = pg::is_standby(upstream.conn);
    choice.accept(upstream);

    const auto history = pg::timeline_history(upstream.conn, upstream.identity.timeline);
    upstream.path = TimelinePath(upstream.identity.timeline, history ? history->content : std::string());
    upstream.histories = compared_histories(upstream.conn, server, upstream.path, history);
    upstream.slot_restart = ensure_slot(upstream.conn, server, stop_fd);
    return upstream;
}

}  // namespace

Upstream open_upstream(const config::Server& server, int stop_fd, const HostChoice& choice) {
    const auto hosts = hosts_of(server);
    std::optional<Error> failure;
    for (const std::size_t host : order_of(hosts.size(), choice.first, choice.last)) {
        try {
            Upstream upstream;
            upstream.conn = pg::PgConn::connect({hosts[host], server.streaming_archiver_name, true, stop_fd});
            upstream.host = host;
            upstream.hosts = hosts.size();
            return open_host(server, stop_fd, std::move(upstream), choice);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled) throw;
            failure = failure ? both(*failure, error) : error;
        }
    }
    throw *failure;
}

}  // namespace coffer::streamer
