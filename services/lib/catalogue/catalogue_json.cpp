// What the catalogue keeps as JSON: identity.json and meta/<ID>-coffer.json.
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"

namespace coffer::catalogue {
namespace {

using nlohmann::json;

json parse_object(const std::string& text, const Path& path) {
    json object = json::parse(text, nullptr, false);
    if (!object.is_object()) throw Error(ErrorCode::corrupt, "file does not hold a JSON object", path.string());
    return object;
}

// Barman writes numbers as strings here; both are taken.
template <typename Number>
Number number_of(const json& object, const char* key, const Path& path) {
    const auto entry = object.find(key);
    if (entry != object.end() && entry->is_number_unsigned()) return entry->get<Number>();
    if (entry != object.end() && entry->is_string()) {
        const std::string text = entry->get<std::string>();
        Number number = 0;
        const auto got = std::from_chars(text.data(), text.data() + text.size(), number);
        if (got.ec == std::errc() && (got.ptr == text.data() + text.size() || *got.ptr == '.')) return number;
    }
    throw Error(ErrorCode::corrupt, fmt::format("file has no valid {}", key), path.string());
}

template <typename Value>
void take(const json& object, const char* key, Value& out) {
    if (const auto entry = object.find(key); entry != object.end()) entry->get_to(out);
}

// Of meta/<ID>-coffer.json: rises when an older program would misread it. Absent: 1.
constexpr std::uint64_t known_record_version = 1;

std::uint64_t version_of(const json& object) {
    std::uint64_t version = 1;
    take(object, "version", version);
    return version;
}

Extra extra_of(const json& object) {
    Extra extra;
    take(object, "pages_checked", extra.pages_checked);
    take(object, "pages_torn_allowed", extra.pages_torn_allowed);
    take(object, "bad_pages_total", extra.bad_pages_total);
    take(object, "files", extra.files);
    take(object, "bytes_received", extra.bytes_received);
    take(object, "copy_seconds", extra.copy_seconds);
    take(object, "sync_seconds", extra.sync_seconds);
    take(object, "wal_wait_seconds", extra.wal_wait_seconds);
    take(object, "slowed_seconds", extra.slowed_seconds);
    take(object, "manifest_checksum", extra.manifest_checksum);
    take(object, "way", extra.way);
    take(object, "way_reason", extra.way_reason);
    take(object, "base", extra.base);
    take(object, "clone", extra.clone);
    take(object, "bytes_written", extra.bytes_written);
    take(object, "unchanged_before", extra.unchanged_before);
    take(object, "imported_from", extra.imported_from);
    if (const auto at = object.find("verified_at"); at != object.end()) {
        extra.verified_at = parse_time(at->get<std::string>());
    }
    if (const auto at = object.find("full_read_at"); at != object.end()) {
        extra.full_read_at = parse_time(at->get<std::string>());
    }
    if (const auto at = object.find("scrubbed_at"); at != object.end()) {
        extra.scrubbed_at = parse_time(at->get<std::string>());
    }
    take(object, "foreign", extra.foreign);
    if (const auto damage = object.find("damage"); damage != object.end()) {
        for (const json& each : *damage) {
            extra.damage.push_back({each.at("file").get<std::string>(), each.at("what").get<std::string>(),
                                    each.at("blocks").get<std::vector<std::uint32_t>>(),
                                    parse_time(each.at("found_at").get<std::string>()).value_or(WallTime{})});
        }
    }
    if (const auto pages = object.find("bad_pages"); pages != object.end()) {
        for (const json& page : *pages) {
            extra.bad_pages.push_back({page.at("file").get<std::string>(), page.at("block").get<std::uint32_t>(),
                                       Lsn::parse(page.at("lsn").get<std::string>()).value_or(Lsn{})});
        }
    }
    return extra;
}

}  // namespace

std::optional<Identity> Catalogue::identity() const {
    const Path path = server_.backup_directory / "identity.json";
    const auto text = read_file(path, 1 << 20);
    if (!text) return std::nullopt;
    const json object = parse_object(*text, path);
    return Identity{number_of<std::uint64_t>(object, "systemid", path),
                    number_of<std::uint32_t>(object, "version", path)};
}

void Catalogue::confirm_identity(const Identity& seen) const {
    if (const auto known = identity()) {
        if (known->systemid == seen.systemid) return;
        throw Error(ErrorCode::server_mismatch,
                    fmt::format("the server's system identifier is {}, but this catalogue belongs to {}", seen.systemid,
                                known->systemid),
                    server_.name, "configure the new cluster under another server name, or correct conninfo");
    }
    make_directories_durably(server_.backup_directory);
    const json object{{"systemid", std::to_string(seen.systemid)}, {"version", std::to_string(seen.major_version)}};
    // Streamer and backup may both be the first to see the server: each has a file of its own, and one is the first.
    const Path path = server_.backup_directory / "identity.json";
    const Path own = server_.backup_directory / fmt::format(".identity.{}", ::getpid());
    write_file_durably(own, object.dump(4));
    const bool first = ::link(own.c_str(), path.c_str()) == 0;
    const int error = errno;
    files().unlink(own);
    files().sync_directory(server_.backup_directory);
    if (first) return;
    if (error != EEXIST) throw Error::from_errno(error, "cannot create file", path.string());
    confirm_identity(seen);
}

std::optional<Extra> Catalogue::extra(std::string_view backup_id) const {
    const Path path = meta_path(backup_id, "-coffer.json");
    const auto text = read_file(path);
    if (!text) return std::nullopt;
    try {
        return parse_extra(*text, path.string());
    } catch (const Error& error) {
        log_warning("what is known of a backup cannot be read: {}", error.what());
    }
    Extra extra;
    extra.unreadable = true;
    return extra;
}

bool Catalogue::is_damaged(std::string_view backup_id) const {
    const auto known = extra(backup_id);
    return known && !known->damage.empty();
}

Extra parse_extra(const std::string& text, const std::string& where) {
    try {
        const json object = parse_object(text, where);
        const std::uint64_t version = version_of(object);
        if (version <= known_record_version) return extra_of(object);
        throw Error(ErrorCode::not_supported,
                    fmt::format("this record of a backup has version {}, this program (Coffer {}) knows version {}",
                                version, COFFER_VERSION, known_record_version),
                    where, "upgrade Coffer on this box to the version that wrote it, or a newer one");
    } catch (const json::exception&) {
        throw Error(ErrorCode::corrupt, "the file does not hold what it should", where);
    }
}

void Catalogue::require_known_record(std::string_view backup_id) const {
    const Path path = meta_path(backup_id, "-coffer.json");
    const auto text = read_file(path);
    if (!text) return;
    try {
        (void)parse_extra(*text, path.string());
    } catch (const Error& error) {
        if (error.code() == ErrorCode::not_supported) throw error.within("backup " + std::string(backup_id));
    }
}

std::string format_extra(const Extra& extra) {
    json pages = json::array();
    for (const BadPage& page : extra.bad_pages) {
        pages.push_back({{"file", page.file}, {"block", page.block}, {"lsn", page.page_lsn.to_string()}});
    }
    json object{{"version", known_record_version},
                {"pages_checked", extra.pages_checked},
                {"pages_torn_allowed", extra.pages_torn_allowed},
                {"bad_pages_total", extra.bad_pages_total},
                {"bad_pages", std::move(pages)},
                {"files", extra.files},
                {"bytes_received", extra.bytes_received},
                {"copy_seconds", extra.copy_seconds},
                {"sync_seconds", extra.sync_seconds},
                {"wal_wait_seconds", extra.wal_wait_seconds},
                {"slowed_seconds", extra.slowed_seconds},
                {"manifest_checksum", extra.manifest_checksum},
                {"way", extra.way},
                {"way_reason", extra.way_reason},
                {"base", extra.base},
                {"clone", extra.clone},
                {"bytes_written", extra.bytes_written}};
    if (extra.full_read_at) object["full_read_at"] = format_time(*extra.full_read_at);
    if (extra.unchanged_before != 0) object["unchanged_before"] = extra.unchanged_before;
    if (!extra.imported_from.empty()) object["imported_from"] = extra.imported_from;
    if (extra.verified_at) object["verified_at"] = format_time(*extra.verified_at);
    if (extra.scrubbed_at) object["scrubbed_at"] = format_time(*extra.scrubbed_at);
    if (extra.foreign) object["foreign"] = true;
    for (const ImageDamage& each : extra.damage) {
        object["damage"].push_back({{"file", each.file},
                                    {"what", each.what},
                                    {"blocks", each.blocks},
                                    {"found_at", format_time(each.found_at)}});
    }
    // A file's name may be no valid UTF-8.
    return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

void Catalogue::save(std::string_view backup_id, const Extra& extra) const {
    write_file_durably(meta_path(backup_id, "-coffer.json"), format_extra(extra));
}

}  // namespace coffer::catalogue
