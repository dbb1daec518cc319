#pragma once
// The databases of a cluster, read from the files of a backup: names and oids of the rows of pg_database.
//
// No server is needed for it. The image is as fuzzy as every base backup: a row may be there twice while it is changed,
// so rows are judged by their hint bits, and by pg_xact where they have none; one whose transaction had not ended
// counts as there. Format: PostgreSQL 13 to 18, src/backend/utils/cache/relmapper.c, src/include/storage/bufpage.h,
// access/htup_details.h, access/clog.c, catalog/pg_database.h. Foreign bytes: everything is held against its bounds,
// maps and pages against their checksums. Errors: corrupt, io. Thread-safe.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/files.h"
#include "lib/image/page_checksum.h"

namespace coffer::restore {

struct Database {
    std::uint32_t oid = 0;
    std::string name;  // bytes as the server keeps them
    bool is_template = false;
    bool operator==(const Database&) const = default;
};

inline constexpr std::uint32_t pg_database_oid = 1262;

// The number in the file's name of a relation that pg_filenode.map has; nullopt when it has not. Throws corrupt.
std::optional<std::uint32_t> mapped_file(ByteSpan map, std::uint32_t relation, const Path& path);

enum class Fate { committed, aborted, unknown };
using FateOf = std::function<Fate(std::uint32_t xid)>;

// The same of pg_database, read from the data directory of a backup. Throws corrupt, io.
std::uint32_t pg_database_file(const Path& data);

// The rows of one page that are there. Throws corrupt.
std::vector<Database> databases_on_page(image::Page page, std::uint32_t major_version, const FateOf& fate_of,
                                        const Path& path);

// data: the data directory of a backup. checksums: its pages have them.
std::vector<Database> read_databases(const Path& data, std::uint32_t major_version, bool checksums);

}  // namespace coffer::restore
