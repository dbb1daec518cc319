#include "services/job/server_facts.h"

#include <array>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/image/page_checksum.h"

namespace coffer::job {
namespace {

using namespace std::chrono_literals;

pg::PgConn::Deadline soon() {
    return std::chrono::steady_clock::now() + 30s;
}

// "\x00ff…"; nullopt unless it is a whole page.
bool page_of(std::string_view hex, std::array<std::byte, image::page_size>& page) {
    if (hex.size() != 2 + 2 * image::page_size || !hex.starts_with("\\x")) return false;
    for (std::size_t i = 0; i < page.size(); ++i) {
        unsigned value = 0;
        std::from_chars(hex.data() + 2 + 2 * i, hex.data() + 4 + 2 * i, value, 16);
        page[i] = static_cast<std::byte>(value);
    }
    return true;
}

// A page that is being written in this moment is whole the next time.
constexpr int looks = 3;

// Is the page, as the server has it now, of a kind that WAL since begin mends?
bool mended_by_wal(pg::PgConn& conn, const catalogue::BadPage& page, std::uint32_t first_block, Lsn begin) {
    for (int look = 0; look < looks; ++look) {
        const pg::PgResult result =
            conn.exec("SELECT pg_read_binary_file($1, $2::bigint, 8192, true)",
                      {page.file, std::to_string(std::uint64_t{page.block} * image::page_size)}, soon());
        std::array<std::byte, image::page_size> now;
        const auto value = result.value(0, 0);
        if (!value || !page_of(*value, now)) return true;  // dropped or truncated since: WAL says so
        if (!image::page_is_sound(image::Page(now), first_block + page.block)) continue;
        return image::page_is_new(image::Page(now)) || image::page_lsn(image::Page(now)) >= begin;
    }
    return false;
}

std::vector<WalSummary> ask_summaries(pg::PgConn& conn) {
    const pg::PgResult rows = conn.exec("SELECT tli, start_lsn, end_lsn FROM pg_available_wal_summaries()", soon());
    std::vector<WalSummary> summaries;
    for (int row = 0; row < rows.rows(); ++row) {
        const auto start = Lsn::parse(rows.text(row, 1)), end = Lsn::parse(rows.text(row, 2));
        const auto timeline = std::strtoul(std::string(rows.text(row, 0)).c_str(), nullptr, 10);
        if (start && end) summaries.push_back({static_cast<TimelineId>(timeline), *start, *end});
    }
    return summaries;
}

}  // namespace

ServerFacts ask_server(pg::PgConn& conn) {
    const pg::PgResult rows = conn.exec(
        "SELECT name, setting FROM pg_settings WHERE name IN ('data_checksums', 'block_size', 'segment_size', "
        "'wal_segment_size', 'summarize_wal', 'data_directory', 'config_file', 'hba_file', 'ident_file') "
        "UNION ALL SELECT 'in_recovery', pg_is_in_recovery()::text "
        "UNION ALL SELECT 'can_read_files', (pg_has_role('pg_read_server_files', 'usage') AND "
        "has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute'))::text",
        soon());
    std::map<std::string, std::string> settings;
    for (int row = 0; row < rows.rows(); ++row) {
        settings[std::string(rows.text(row, 0))] = std::string(rows.value(row, 1).value_or(""));
    }
    ServerFacts facts;
    facts.version = conn.server_version();
    facts.data_checksums = settings["data_checksums"] == "on";
    facts.page_format_known = settings["block_size"] == "8192" && settings["segment_size"] == "131072";
    facts.summarize_wal = settings["summarize_wal"] == "on";
    if (facts.summarize_wal) facts.summaries = ask_summaries(conn);
    facts.in_recovery = settings["in_recovery"] == "true";
    facts.can_read_files = settings["can_read_files"] == "true";
    const auto size = wal::SegmentSize::from_bytes(std::strtoull(settings["wal_segment_size"].c_str(), nullptr, 10));
    if (!size) throw Error(ErrorCode::protocol, "the server does not say how large its wal segments are");
    facts.segment_size = *size;
    facts.data_directory = settings["data_directory"];
    facts.config_file = settings["config_file"];
    facts.hba_file = settings["hba_file"];
    facts.ident_file = settings["ident_file"];
    return facts;
}

std::vector<catalogue::Tablespace> name_tablespaces(pg::PgConn& conn, const std::vector<image::TablespaceRow>& rows) {
    const pg::PgResult names = conn.exec("SELECT oid, spcname FROM pg_tablespace", soon());
    std::map<std::uint32_t, std::string> name_of;
    for (int row = 0; row < names.rows(); ++row) {
        name_of[static_cast<std::uint32_t>(names.number(row, 0))] = names.text(row, 1);
    }
    std::vector<catalogue::Tablespace> tablespaces;
    for (const image::TablespaceRow& row : rows) {
        if (!row.oid) continue;
        const auto name = name_of.find(*row.oid);
        tablespaces.push_back(
            {name != name_of.end() ? name->second : std::to_string(*row.oid), *row.oid, row.location});
    }
    return tablespaces;
}

std::vector<catalogue::BadPage> recheck_pages(pg::PgConn& conn, std::vector<catalogue::BadPage> suspects, Lsn begin) {
    std::vector<catalogue::BadPage> damaged;
    bool readable = true;
    for (catalogue::BadPage& page : suspects) {
        try {
            if (readable && mended_by_wal(conn, page, image::first_block_of(page.file).value_or(0), begin)) continue;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled) throw;
            log_warning("pages with a wrong checksum cannot be read again from the server: {}", error.what());
            readable = false;
        }
        damaged.push_back(std::move(page));
    }
    return damaged;
}

}  // namespace coffer::job
