// cofferctl switch-wal: makes the server end its current segment, so that what is in it goes its way.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/pg/conn.h"
#include "lib/wal/holdings.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/server_facts.h"

namespace coffer::cofferctl {
namespace {

using Kind = OptionSpec::Kind;

// The server that can: for a standby the primary that is named beside it.
pg::PgConn connect_primary(const config::Server& server, int stop_fd) {
    pg::PgConn conn = pg::PgConn::connect({server.conninfo, "cofferctl", false, stop_fd});
    if (server.primary_conninfo.empty() || conn.exec("SELECT pg_is_in_recovery()").text(0, 0) != "t") return conn;
    return pg::PgConn::connect({server.primary_conninfo, "cofferctl", false, stop_fd});
}

// The segment that was closed; empty when there was nothing in it to close.
std::string close_segment(pg::PgConn& conn, bool force) {
    if (conn.exec("SELECT pg_is_in_recovery()").text(0, 0) == "t") {
        throw Error(ErrorCode::refused, "a standby cannot switch its WAL", conn.address(),
                    "name its primary in primary_conninfo");
    }
    if (force) conn.exec("CHECKPOINT");
    const pg::PgResult row = conn.exec(
        "WITH before AS MATERIALIZED (SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name),"
        " switched AS MATERIALIZED (SELECT before.name, pg_switch_wal() AS lsn FROM before)"
        " SELECT name, pg_walfile_name(lsn) FROM switched");
    // Where nothing was written since the last switch, PostgreSQL answers with the end of the segment before.
    return row.text(0, 0) == row.text(0, 1) ? std::string(row.text(0, 0)) : std::string();
}

// Waits for the file's arrival by inotify. False when the time is over.
bool wait_archived(const config::Server& server, const std::string& name, std::chrono::seconds patience) {
    const Path folder = server.wals_directory / wal::archive_folder_of(name);
    const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch) throw Error::from_errno(errno, "cannot watch directory", folder.string());
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
        // The folder of a new log appears with its first segment.
        ::inotify_add_watch(watch.get(), server.wals_directory.c_str(), IN_CREATE | IN_MOVED_TO);
        ::inotify_add_watch(watch.get(), folder.c_str(), IN_CREATE | IN_MOVED_TO);
        const auto held = wal::find_now(server, name, false);
        if (held && held->place == wal::Place::archive) return true;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        if (left <= 0) return false;
        pollfd wanted{watch.get(), POLLIN, 0};
        ::poll(&wanted, 1, static_cast<int>(left));
        char events[4096];
        while (::read(watch.get(), events, sizeof events) > 0) {
        }
    }
}

void run(Context& context, const Arguments& arguments) {
    const std::chrono::seconds patience(arguments.number("archive_timeout", 86400).value_or(30));
    for_each_server(context, arguments.positionals, Only::active, [&](const config::Server& server) {
        const TimeLimit time(std::chrono::minutes(10));  // a checkpoint may be large
        pg::PgConn conn = connect_primary(server, time.fd());
        const std::string closed = close_segment(conn, arguments.flag("force"));
        if (closed.empty()) return context.out.info("No switch required for server '" + server.name + "'");
        context.out.info("The WAL file " + closed + " has been closed on server '" + server.name + "'");
        if (!arguments.flag("archive")) return;
        context.out.info("Waiting for the WAL file " + closed + " from server '" + server.name +
                         "' (max: " + std::to_string(patience.count()) + " seconds)");
        if (wait_archived(server, closed, patience)) return;
        throw Error(ErrorCode::timeout, "the WAL file " + closed + " was not archived in time", server.name,
                    "see cofferctl status " + server.name + " for the receiver and the archiver");
    });
}

}  // namespace

Command switch_wal_command() {
    return {"switch-wal",
            {"switch-xlog"},
            "make servers end their current WAL segment",
            "SERVER...",
            1,
            0,
            {{"--force", Kind::flag, "CHECKPOINT first, so that there is something to switch"},
             {"--archive", Kind::flag, "wait until the segment is archived here"},
             {"--archive-timeout", Kind::text, "seconds to wait (30)"}},
            run};
}

}  // namespace coffer::cofferctl
