#include "lib/pg/low_level_backup.h"

#include <charconv>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::pg {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t first_with_new_names = 15;

PgConn::Deadline in(std::chrono::seconds time) {
    return std::chrono::steady_clock::now() + time;
}

Lsn position_of(std::string_view text, const char* what) {
    const auto lsn = Lsn::parse(text);
    if (!lsn) throw Error(ErrorCode::protocol, std::string("the server gave no position for ") + what);
    return *lsn;
}

// What stands behind the words at the begin of a line, up to a blank or the line's end.
std::string_view value_behind(std::string_view text, std::string_view words) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        if (line.starts_with(words)) {
            const std::string_view value = line.substr(words.size());
            return value.substr(0, value.find(' '));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    throw Error(ErrorCode::protocol, fmt::format("the backup label has no line that begins with '{}'", words));
}

}  // namespace

BackupLabel parse_backup_label(std::string_view text) {
    BackupLabel label;
    label.start = position_of(value_behind(text, "START WAL LOCATION: "), "the begin of the backup");
    const std::string_view timeline = value_behind(text, "START TIMELINE: ");
    const auto [end, error] = std::from_chars(timeline.data(), timeline.data() + timeline.size(), label.timeline);
    if (error != std::errc() || end != timeline.data() + timeline.size() || label.timeline == 0) {
        throw Error(ErrorCode::protocol, "the backup label has no timeline");
    }
    return label;
}

LowLevelBackup::LowLevelBackup(PgConn& conn, const std::string& label, bool fast) : conn_(conn) {
    // Neither may end the session while files are copied.
    conn_.exec("SET statement_timeout = 0", in(30s));
    if (conn_.major_version() >= 14) conn_.exec("SET idle_session_timeout = 0", in(30s));
    const char* const how = conn_.major_version() >= first_with_new_names
                                ? "SELECT pg_backup_start($1, $2::boolean)"
                                : "SELECT pg_start_backup($1, $2::boolean, false)";
    begin_ = position_of(conn_.exec(how, {label, fast ? "true" : "false"}).text(0, 0), "the begin of the backup");
}

void LowLevelBackup::keep_alive() {
    conn_.exec("SELECT 1", in(60s));
}

LowLevelEnd LowLevelBackup::end() {
    // Not for the server to wait for its archive: what is here counts, and is waited for by whoever asks.
    const char* const how = conn_.major_version() >= first_with_new_names
                                ? "SELECT lsn, labelfile FROM pg_backup_stop(false)"
                                : "SELECT lsn, labelfile FROM pg_stop_backup(false, false)";
    const PgResult result = conn_.exec(how);
    LowLevelEnd end;
    end.lsn = position_of(result.text(0, 0), "the end of the backup");
    end.label = result.text(0, 1);
    end.start = parse_backup_label(end.label);
    return end;
}

}  // namespace coffer::pg
