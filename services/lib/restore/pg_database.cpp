#include "lib/restore/pg_database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/wal/little_endian.h"

namespace coffer::restore {
namespace {

using image::page_size;
using wal::load16;
using wal::load32;

constexpr std::uint32_t map_magic = 0x592717;
constexpr std::size_t map_header = 8;
constexpr std::size_t page_header = 24;
constexpr std::size_t tuple_header = 23;
constexpr std::size_t name_size = 64;
constexpr std::uint64_t largest_catalogue = 256ULL << 20;

constexpr std::uint16_t xmax_lock_only = 0x0080, xmin_committed = 0x0100, xmin_invalid = 0x0200,
                        xmax_committed = 0x0400, xmax_invalid = 0x0800, xmax_is_multi = 0x1000;

constexpr const char* remedy =
    "choose another backup, or restore all databases: leave out --exclude-database and --only-database";

[[noreturn]] void corrupt(std::string what, const Path& path) {
    throw Error(ErrorCode::corrupt, std::move(what), path.string(), remedy);
}

// Did the row's transaction begin it, and did none end it?
bool is_there(ByteSpan tuple, const FateOf& fate_of) {
    const std::uint16_t mask = load16(tuple, 20);
    const bool frozen_or_committed = (mask & xmin_committed) != 0;
    if (!frozen_or_committed && (mask & xmin_invalid) != 0) return false;
    if (!frozen_or_committed && fate_of(load32(tuple, 0)) == Fate::aborted) return false;
    const std::uint32_t xmax = load32(tuple, 4);
    if (xmax == 0 || (mask & (xmax_invalid | xmax_lock_only | xmax_is_multi)) != 0) return true;
    return (mask & xmax_committed) == 0 && fate_of(xmax) != Fate::committed;
}

Database row_of(ByteSpan row, std::uint32_t major_version, const Path& path) {
    // oid, datname, datdba, encoding; then a provider of one byte since 15, two more names before.
    const std::size_t template_at = major_version >= 15 ? 77 : 204;
    if (row.size() <= template_at) corrupt("a row of pg_database is too short", path);
    Database database;
    database.oid = load32(row, 0);
    const char* const name = reinterpret_cast<const char*>(row.data()) + 4;
    database.name = std::string(name, ::strnlen(name, name_size));
    database.is_template = row[template_at] != std::byte{0};
    if (database.oid == 0 || database.name.empty()) corrupt("a row of pg_database makes no sense", path);
    return database;
}

std::string read_whole(const Path& path, std::uint64_t limit) {
    auto text = read_file(path, limit);
    if (!text) corrupt("a file that every data directory has is not in the backup", path);
    return std::move(*text);
}

// What became of a transaction: two bits for each, 1048576 transactions in a file.
class TransactionLog {
  public:
    explicit TransactionLog(Path directory) : directory_(std::move(directory)) {}

    Fate of(std::uint32_t xid) {
        constexpr std::uint32_t first_normal = 3, per_file = 1U << 20;
        if (xid < first_normal) return xid == 0 ? Fate::aborted : Fate::committed;
        if (!text_ || file_ != xid / per_file) {
            file_ = xid / per_file;
            text_ = read_file(directory_ / fmt::format("{:04X}", file_), 1ULL << 20).value_or("");
        }
        const std::size_t at = xid % per_file / 4;
        if (at >= text_->size()) return Fate::unknown;
        const unsigned bits = static_cast<unsigned char>((*text_)[at]) >> (xid % 4 * 2) & 3U;
        if (bits == 1) return Fate::committed;
        return bits == 2 ? Fate::aborted : Fate::unknown;
    }

  private:
    Path directory_;
    std::uint32_t file_ = 0;
    std::optional<std::string> text_;
};

}  // namespace

std::optional<std::uint32_t> mapped_file(ByteSpan map, std::uint32_t relation, const Path& path) {
    // Room for 62 relations and padding up to 15, for 64 since 16.
    const std::size_t crc_at = map.size() == 512 ? 504 : 520;
    if (map.size() != 512 && map.size() != 524) corrupt("the relation map is of an unknown size", path);
    if (load32(map, 0) != map_magic) corrupt("this is no relation map", path);
    const std::uint32_t count = load32(map, 4);
    if (count > (crc_at - map_header) / 8) corrupt("the relation map makes no sense", path);
    if (crc32c(map.first(crc_at)) != load32(map, crc_at)) corrupt("the relation map is damaged", path);
    for (std::size_t i = 0; i < count; ++i) {
        if (load32(map, map_header + i * 8) == relation) return load32(map, map_header + i * 8 + 4);
    }
    return std::nullopt;
}

std::vector<Database> databases_on_page(image::Page page, std::uint32_t major_version, const FateOf& fate_of,
                                        const Path& path) {
    std::vector<Database> found;
    if (image::page_is_new(page)) return found;
    const std::size_t lower = load16(page, 12), upper = load16(page, 14), special = load16(page, 16);
    if (lower < page_header || lower > upper || upper > special || special > page_size || lower % 4 != 0 ||
        (load16(page, 18) & 0xFF00U) != page_size) {
        corrupt("a page of pg_database makes no sense", path);
    }
    for (std::size_t at = page_header; at < lower; at += 4) {
        const std::uint32_t pointer = load32(page, at);
        const std::size_t offset = pointer & 0x7FFFU, flags = pointer >> 15 & 3U, length = pointer >> 17;
        if (flags != 1) continue;  // unused, dead, or a redirection
        if (offset < upper || offset + length > page_size || length < tuple_header) {
            corrupt("a row of pg_database lies outside of its page", path);
        }
        const ByteSpan tuple = ByteSpan(page).subspan(offset, length);
        const std::size_t header = std::to_integer<std::size_t>(tuple[22]);
        if (header < tuple_header || header > length) corrupt("a row of pg_database makes no sense", path);
        if (is_there(tuple, fate_of)) found.push_back(row_of(tuple.subspan(header), major_version, path));
    }
    return found;
}

std::uint32_t pg_database_file(const Path& data) {
    const Path map = data / "global/pg_filenode.map";
    const auto number = mapped_file(as_byte_span(read_whole(map, 4096)), pg_database_oid, map);
    if (!number) corrupt("the relation map does not have pg_database", map);
    return *number;
}

std::vector<Database> read_databases(const Path& data, std::uint32_t major_version, bool checksums) {
    const Path path = data / "global" / std::to_string(pg_database_file(data));
    const std::string text = read_whole(path, largest_catalogue);
    if (text.size() % page_size != 0) corrupt("pg_database does not consist of whole pages", path);
    TransactionLog log(data / "pg_xact");
    const FateOf fate_of = [&](std::uint32_t xid) { return log.of(xid); };
    std::vector<Database> found;
    for (std::size_t at = 0; at < text.size(); at += page_size) {
        const image::Page page(as_byte_span(text).subspan(at).first<page_size>());
        const auto block = static_cast<std::uint32_t>(at / page_size);
        if (checksums && !image::page_is_sound(page, block)) {
            corrupt(fmt::format("block {} of pg_database was being written while the backup ran, or is damaged", block),
                    path);
        }
        for (Database& database : databases_on_page(page, major_version, fate_of, path)) {
            if (std::find(found.begin(), found.end(), database) == found.end()) found.push_back(std::move(database));
        }
    }
    return found;
}

}  // namespace coffer::restore
