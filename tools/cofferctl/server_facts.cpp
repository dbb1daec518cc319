#include "tools/cofferctl/server_facts.h"

#include <poll.h>
#include <sys/timerfd.h>

#include "lib/base/error.h"
#include "lib/pg/replication.h"

namespace coffer::cofferctl {
namespace {

// One row about the server as a whole.
constexpr const char* overview_query =
    "SELECT pg_is_in_recovery(),"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,"
    " CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END,"
    " (SELECT system_identifier FROM pg_control_system()),"
    " (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user)"
    // What is done by conninfo. The copy itself is by streaming_conninfo, where being let in proves the right to it.
    " OR (pg_has_role('pg_read_all_settings', 'usage') AND pg_has_role('pg_read_all_stats', 'usage')"
    " AND has_function_privilege('pg_switch_wal()', 'execute'))";

constexpr const char* settings_query =
    "SELECT name, setting FROM pg_settings WHERE name IN ('wal_level', 'archive_mode', 'archive_command', "
    "'archive_library',"
    " 'archive_timeout', 'checkpoint_timeout', 'config_file', 'data_checksums', 'data_directory', 'hba_file', "
    "'hot_standby',"
    " 'ident_file', 'max_replication_slots', 'max_wal_senders', 'summarize_wal', 'synchronous_standby_names',"
    " 'wal_compression', 'wal_keep_size', 'wal_segment_size')";

constexpr const char* archiver_query =
    "SELECT last_archived_wal, last_archived_time, last_failed_wal, last_failed_time,"
    " last_failed_wal IS NULL OR last_archived_time > last_failed_time FROM pg_stat_archiver";

constexpr const char* slot_query =
    "SELECT active, restart_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = $1";

std::string text_of(const pg::PgResult& result, int row, int column) {
    return std::string(result.value(row, column).value_or(""));
}

void read_overview(pg::PgConn& conn, ServerFacts& facts) {
    facts.version = conn.server_version();
    const pg::PgResult row = conn.exec(overview_query);
    facts.in_recovery = text_of(row, 0, 0) == "t";
    facts.current_lsn = text_of(row, 0, 1);
    facts.current_wal = text_of(row, 0, 2);
    facts.system_identifier = row.number(0, 3);
    facts.superuser_or_backup_rights = text_of(row, 0, 4) == "t";
    const pg::PgResult settings = conn.exec(settings_query);
    for (int i = 0; i < settings.rows(); ++i) facts.settings[text_of(settings, i, 0)] = text_of(settings, i, 1);
    // Only some roles may see the size; without it the rest is still worth showing.
    const pg::PgResult size = conn.try_exec("SELECT sum(pg_tablespace_size(oid))::bigint FROM pg_tablespace");
    if (size.ok() && size.value(0, 0)) facts.data_size = size.number(0, 0);
}

void read_archiver(pg::PgConn& conn, ServerFacts& facts) {
    const pg::PgResult archiver = conn.exec(archiver_query);
    facts.last_archived_wal = text_of(archiver, 0, 0);
    facts.last_archived_time = text_of(archiver, 0, 1);
    facts.last_failed_wal = text_of(archiver, 0, 2);
    facts.last_failed_time = text_of(archiver, 0, 3);
    facts.archiver_is_archiving = text_of(archiver, 0, 4) == "t" && !facts.last_archived_wal.empty();
}

void read_slot(pg::PgConn& conn, const config::Server& server, ServerFacts& facts) {
    if (!server.slot_name) return;
    const pg::PgResult slot = conn.exec(slot_query, {*server.slot_name});
    facts.slot_exists = slot.rows() > 0;
    if (!facts.slot_exists) return;
    facts.slot_active = text_of(slot, 0, 0) == "t";
    facts.slot_has_position = text_of(slot, 0, 1) == "t";
}

// The reason in one line.
std::string reason_of(const Error& error, const TimeLimit& limit) {
    if (limit.passed()) return "no answer within the time limit";
    std::string text = error.what();
    for (char& c : text) {
        if (c == '\n' || c == '\t') c = ' ';
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

void ask_primary(const config::Server& server, const TimeLimit& time, ServerFacts& facts) {
    if (server.primary_conninfo.empty()) return;
    try {
        pg::PgConn conn = pg::PgConn::connect({server.primary_conninfo, "cofferctl", false, time.fd()});
        const pg::PgResult row = conn.exec("SELECT pg_is_in_recovery(), system_identifier FROM pg_control_system()");
        facts.primary_in_recovery = text_of(row, 0, 0) == "t";
        facts.primary_system_identifier = row.number(0, 1);
        // A standby archives only with archive_mode = always; else it is the primary that does.
        if (facts.in_recovery && facts.setting("archive_mode") != "always") read_archiver(conn, facts);
    } catch (const Error& error) {
        facts.primary_error = reason_of(error, time);
    }
}

void ask_wal_host(const config::Server& server, const TimeLimit& time, ServerFacts& facts) {
    if (!server.other_wal_host) return;
    try {
        pg::PgConn conn = pg::PgConn::connect({server.wal_conninfo, "cofferctl", false, time.fd()});
        const pg::PgResult row = conn.exec(
            "SELECT system_identifier, current_setting('wal_level'), pg_has_role('pg_read_all_settings', 'usage')"
            " AND pg_has_role('pg_read_all_stats', 'usage') FROM pg_control_system()");
        facts.wal_system_identifier = row.number(0, 0);
        facts.wal_level_there = text_of(row, 0, 1);
        facts.wal_monitoring_rights = text_of(row, 0, 2) == "t";
        read_slot(conn, server, facts);
    } catch (const Error& error) {
        facts.wal_error = reason_of(error, time);
    }
    try {
        pg::PgConn conn = pg::PgConn::connect({server.wal_streaming_conninfo, "cofferctl", true, time.fd()});
        facts.wal_streaming_system_identifier = pg::identify_system(conn).system_identifier;
    } catch (const Error& error) {
        facts.wal_streaming_error = reason_of(error, time);
    }
}

}  // namespace

TimeLimit::TimeLimit(std::chrono::seconds limit)
    : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
    if (!timer_) throw Error::from_errno(errno, "cannot make a timer", "");
    itimerspec when{};
    when.it_value.tv_sec = limit.count();
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

bool TimeLimit::passed() const noexcept {
    pollfd wanted{timer_.get(), POLLIN, 0};
    return ::poll(&wanted, 1, 0) == 1;
}

std::string ServerFacts::setting(const std::string& name) const {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string() : found->second;
}

ServerFacts ask_server(const config::Server& server, std::chrono::seconds limit) {
    ServerFacts facts;
    const TimeLimit time(limit);
    try {
        pg::PgConn conn = pg::PgConn::connect({server.conninfo, "cofferctl", false, time.fd()});
        read_overview(conn, facts);
        read_archiver(conn, facts);
        if (!server.other_wal_host) read_slot(conn, server, facts);
    } catch (const Error& error) {
        facts.error = reason_of(error, time);
    }
    if (!facts.reachable()) {
        facts.streaming_error = facts.error;
    } else {
        try {
            pg::PgConn conn = pg::PgConn::connect({server.streaming_conninfo, "cofferctl", true, time.fd()});
            facts.streaming_system_identifier = pg::identify_system(conn).system_identifier;
        } catch (const Error& error) {
            facts.streaming_error = reason_of(error, time);
        }
    }
    if (facts.reachable()) ask_primary(server, time, facts);
    ask_wal_host(server, time, facts);
    facts.timed_out = time.passed();
    return facts;
}

}  // namespace coffer::cofferctl
