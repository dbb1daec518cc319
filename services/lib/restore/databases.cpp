#include "lib/restore/databases.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lib/base/error.h"

namespace coffer::restore {
namespace {

constexpr std::uint32_t first_normal_oid = 16384;
constexpr const char* safe_remedy =
    "restore all databases, and drop those that you do not want; or choose another backup or target";

// What the server itself needs, and what CREATE DATABASE and every client start from.
bool always_restored(const Database& database) {
    return database.oid < first_normal_oid || database.name == "postgres" || database.name == "template1" ||
           database.name == "template0";
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string names_of(const std::vector<Database>& databases) {
    std::string text;
    for (const Database& database : databases) text += (text.empty() ? "" : ", ") + database.name;
    return text;
}

void require_known(const std::vector<Database>& databases, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const auto count = std::count_if(databases.begin(), databases.end(),
                                         [&](const Database& database) { return database.name == name; });
        if (count == 0) {
            throw Error(ErrorCode::invalid_argument, "the backup has no database of this name", name,
                        "it has: " + names_of(databases) +
                            "; one that was made or renamed after the backup is restored from WAL in any case");
        }
        if (count > 1) {
            throw Error(ErrorCode::refused,
                        "a database of this name was being dropped and made again while the backup ran", name,
                        safe_remedy);
        }
    }
}

// One oid under two names: which of them lasts is said by WAL only.
void require_one_name(const std::vector<Database>& databases, const Database& database) {
    for (const Database& other : databases) {
        if (other.oid != database.oid || other.name == database.name) continue;
        throw Error(ErrorCode::refused, "a database was being renamed while the backup ran",
                    fmt::format("'{}', '{}'", database.name, other.name), safe_remedy);
    }
}

// The oid in "base/16400/2619", or in "PG_15_202209061/16400/2619"; 0 for anything else.
std::uint32_t database_of(const std::string& path, bool tablespace) {
    const std::size_t begin = path.find('/');
    const std::size_t end = begin == std::string::npos ? begin : path.find('/', begin + 1);
    if (end == std::string::npos || path.find('/', end + 1) != std::string::npos) return 0;
    if (tablespace ? !path.starts_with("PG_") : !path.starts_with("base/")) return 0;
    std::uint32_t oid = 0;
    const char* const stop = path.data() + end;
    const auto got = std::from_chars(path.data() + begin + 1, stop, oid);
    return got.ec == std::errc() && got.ptr == stop ? oid : 0;
}

// Without a valid pg_filenode.map a connection, as that of an autovacuum worker, is refused. With one it would go on to
// the catalogue's empty indexes, which is a PANIC of the whole server.
bool is_kept(const std::string& path) {
    return path.ends_with("/PG_VERSION");
}

}  // namespace

std::vector<LeftDatabase> choose_databases(const std::vector<Database>& databases, const DatabaseChoice& choice) {
    if (!choice.excluded.empty() && !choice.only.empty()) {
        throw Error(ErrorCode::invalid_argument, "databases are both excluded and chosen", {},
                    "give --exclude-database or --only-database");
    }
    require_known(databases, choice.excluded);
    require_known(databases, choice.only);
    std::vector<LeftDatabase> left;
    for (const Database& database : databases) {
        const bool wanted =
            choice.only.empty() ? !contains(choice.excluded, database.name) : contains(choice.only, database.name);
        if (always_restored(database)) {
            if (!contains(choice.excluded, database.name)) continue;
            throw Error(ErrorCode::invalid_argument, "this database is always restored", database.name,
                        "leave it out of --exclude-database");
        }
        if (wanted) continue;
        require_one_name(databases, database);
        left.push_back({database, 0});
    }
    return left;
}

void leave_out(Tree& tree, bool tablespace, std::vector<LeftDatabase>& left) {
    for (TreeEntry& entry : tree.entries) {
        const std::uint32_t oid = entry.directory ? 0 : database_of(entry.path, tablespace);
        if (oid == 0 || is_kept(entry.path)) continue;
        const auto found =
            std::find_if(left.begin(), left.end(), [oid](const LeftDatabase& one) { return one.database.oid == oid; });
        if (found == left.end()) continue;
        entry.zeros = true;
        entry.crc32c.reset();
        found->bytes += entry.size;
        tree.bytes -= entry.size;
    }
}

std::string drop_command(const Database& database) {
    const std::string drop = "format('DROP DATABASE %I', datname)";
    const std::string commands =
        database.is_template
            ? fmt::format("unnest(ARRAY[format('ALTER DATABASE %I IS_TEMPLATE false', datname), {}])", drop)
            : drop;
    return fmt::format("SELECT {} FROM pg_database WHERE oid = {} \\gexec", commands, database.oid);
}

}  // namespace coffer::restore
