// cofferctl replication-status: the server's streaming clients, this box among them.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/lsn.h"
#include "lib/pg/conn.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/server_facts.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using Kind = OptionSpec::Kind;
using nlohmann::json;

// A receiver of WAL knows no replay position; a standby has one.
constexpr const char* clients_query =
    "SELECT s.application_name, s.usename, host(s.client_addr), s.client_hostname, s.client_port, s.pid, s.state,"
    " s.sync_state, s.sync_priority, s.backend_start, s.sent_lsn, s.write_lsn, s.flush_lsn, s.replay_lsn, r.slot_name"
    " FROM pg_stat_replication s LEFT JOIN pg_replication_slots r ON r.active_pid = s.pid"
    " ORDER BY s.sync_state DESC, s.sync_priority, s.pid";

json nullable(const pg::PgResult& rows, int row, int column) {
    const auto value = rows.value(row, column);
    return value ? json(*value) : json();
}

void put_lsn(json& client, const std::string& name, const json& lsn, Lsn current) {
    const auto at = lsn.is_string() ? Lsn::parse(lsn.get<std::string>()) : std::nullopt;
    if (!at) return;
    client[name] = lsn;
    const auto difference = static_cast<std::int64_t>(at->value - current.value);
    client[name + "_diff"] = pretty_size(static_cast<double>(difference));
    client[name + "_diff_bytes"] = difference;
}

// How far commits are confirmed: 5 stages for a standby, 3 for a receiver that does not replay.
std::string sync_stage(const json& client, bool standby) {
    if (client["current_state"] != "streaming")
        return "1/" + std::string(standby ? "5 Hot standby" : "3 WAL streamer") + " (catching up)";
    const auto value = [&](const char* key) { return client.contains(key) ? client[key].get<std::string>() : ""; };
    if (standby && value("replay_lsn") == value("sent_lsn")) return "5/5 Hot standby (max)";
    if (value("flush_lsn") == value("sent_lsn")) return standby ? "4/5 2-safe" : "3/3 Remote write";
    return standby ? "3/5 1-safe" : "3/3 Remote write";
}

json describe(const pg::PgResult& rows, int row, Lsn current, bool standby) {
    std::string kind = rows.value(row, 7).value_or("async") == "async" ? "Async" : "Sync";
    json client{{"name", kind + (standby ? " standby" : " WAL streamer")},
                {"application_name", nullable(rows, row, 0)},
                {"user_name", nullable(rows, row, 1)},
                {"ip_address", nullable(rows, row, 2)},
                {"host", nullable(rows, row, 3)},
                {"communication", rows.value(row, 2) ? "TCP/IP" : "Unix domain socket"},
                {"current_state", nullable(rows, row, 6)},
                {"current_sync_state", nullable(rows, row, 7)},
                {"replication_slot", nullable(rows, row, 14)},
                {"wal_sender_pid", rows.number(row, 5)},
                {"started_at", nullable(rows, row, 9)}};
    const auto port = rows.value(row, 4);
    client["port"] = port ? json(std::stoi(std::string(*port))) : json();
    put_lsn(client, "sent_lsn", nullable(rows, row, 10), current);
    put_lsn(client, "write_lsn", nullable(rows, row, 11), current);
    put_lsn(client, "flush_lsn", nullable(rows, row, 12), current);
    if (standby) put_lsn(client, "replay_lsn", nullable(rows, row, 13), current);
    client["sync_stage"] = sync_stage(client, standby);
    return client;
}

json minimal(const pg::PgResult& rows, int row) {
    return {{"application_name", nullable(rows, row, 0)}, {"user_name", nullable(rows, row, 1)},
            {"client_addr", nullable(rows, row, 2)},      {"sync_priority", rows.number(row, 8)},
            {"sent_lsn", nullable(rows, row, 10)},        {"write_lsn", nullable(rows, row, 11)}};
}

std::string plain(const json& object, const char* key) {
    if (!object.contains(key) || object[key].is_null()) return "-";
    return object[key].is_string() ? object[key].get<std::string>() : object[key].dump();
}

void print(Output& out, std::size_t number, const json& c) {
    out.line(fmt::format("\n  {}. {}", number, plain(c, "name")));
    out.line("     Application name: " + plain(c, "application_name"));
    out.line("     Sync stage      : " + plain(c, "sync_stage"));
    out.line("     Communication   : " + plain(c, "communication"));
    if (!c["ip_address"].is_null()) {
        out.line(fmt::format("     IP Address      : {} / Port: {} / Host: {}", plain(c, "ip_address"),
                             plain(c, "port"), plain(c, "host")));
    }
    out.line("     User name       : " + plain(c, "user_name"));
    out.line(fmt::format("     Current state   : {} ({})", plain(c, "current_state"), plain(c, "current_sync_state")));
    if (!c["replication_slot"].is_null()) out.line("     Replication slot: " + plain(c, "replication_slot"));
    out.line("     WAL sender PID  : " + plain(c, "wal_sender_pid"));
    out.line("     Started at      : " + plain(c, "started_at"));
    for (const auto& [label, key] : {std::pair("Sent LSN  ", "sent_lsn"), std::pair("Write LSN ", "write_lsn"),
                                     std::pair("Flush LSN ", "flush_lsn"), std::pair("Replay LSN", "replay_lsn")}) {
        if (!c.contains(key)) continue;
        out.line(fmt::format("     {}: {} (diff: {})", label, plain(c, key),
                             plain(c, (std::string(key) + "_diff").c_str())));
    }
}

void show(Context& context, const config::Server& server, const std::string& target, bool wal_host, bool is_minimal) {
    const TimeLimit time(server.check_timeout);
    pg::PgConn conn =
        pg::PgConn::connect({wal_host ? server.wal_conninfo : server.conninfo, "cofferctl", false, time.fd()});
    const std::string lsn(conn.exec("SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
                                    " ELSE pg_current_wal_lsn() END")
                              .text(0, 0));
    const pg::PgResult rows = conn.exec(clients_query);
    json clients = json::array();
    std::vector<std::string> lines;
    for (int row = 0; row < rows.rows(); ++row) {
        const bool standby = rows.value(row, 13).has_value() && rows.value(row, 0) != server.streaming_archiver_name;
        if ((target == "hot-standby" && !standby) || (target == "wal-streamer" && standby)) continue;
        clients.push_back(is_minimal ? minimal(rows, row)
                                     : describe(rows, row, Lsn::parse(lsn).value_or(Lsn{}), standby));
        lines.push_back(fmt::format("  {}. {}) {}@{} S:{} W:{} P:{} AN:{}", clients.size(), standby ? "S" : "W",
                                    rows.value(row, 1).value_or("-"), rows.value(row, 2).value_or("-"),
                                    rows.value(row, 10).value_or("-"), rows.value(row, 11).value_or("-"),
                                    rows.value(row, 8).value_or("-"), rows.value(row, 0).value_or("-")));
    }
    if (is_minimal) {
        context.out.line(fmt::format("Streaming clients for master '{}' (LSN @ {}):", server.name, lsn));
        for (const std::string& line : lines) context.out.line(line);
    } else {
        context.out.line("Status of streaming clients for server '" + server.name + "':");
        context.out.line("  Current LSN on master: " + lsn);
        context.out.line(fmt::format("  Number of streaming clients: {}", clients.size()));
        for (std::size_t i = 0; i < clients.size(); ++i) print(context.out, i + 1, clients[i]);
    }
    json& shown = context.out.data()[server.name];
    if (clients.empty()) shown["standby_info"] = "No streaming clients attached";
    shown["server_lsn"] = lsn;
    shown["streaming_clients"] = std::move(clients);
}

void run(Context& context, const Arguments& arguments) {
    const std::string target = arguments.text("target").value_or("all");
    if (target != "all" && target != "hot-standby" && target != "wal-streamer") {
        throw Error(ErrorCode::invalid_argument, "'" + target + "' is no target", "--target",
                    "use all, hot-standby or wal-streamer");
    }
    const std::string source = arguments.text("source").value_or("backup-host");
    if (source != "backup-host" && source != "wal-host") {
        throw Error(ErrorCode::invalid_argument, "'" + source + "' is no source", "--source",
                    "use backup-host or wal-host");
    }
    for_each_server(context, arguments.positionals, Only::active, [&](const config::Server& server) {
        show(context, server, target, source == "wal-host", arguments.flag("minimal"));
    });
}

}  // namespace

Command replication_status_command() {
    return {"replication-status",
            {},
            "show the streaming clients of servers",
            "SERVER...",
            1,
            0,
            {{"--minimal", Kind::flag, "one line for each"},
             {"--target", Kind::text, "all (default), hot-standby or wal-streamer"},
             {"--source", Kind::text,
              "the server that is asked: backup-host (conninfo, default) or wal-host (wal_conninfo)"}},
            run};
}

}  // namespace coffer::cofferctl
