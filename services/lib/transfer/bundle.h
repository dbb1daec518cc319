#pragma once
// A backup as one file: what stands where in it. A tar (pax), compressed or not, with these members in this order:
//
//   coffer-export.json   version of this format, server, backup ID, system identifier, sum of sizes (Header)
//   backup.info          the record, in Barman's form
//   coffer.json          what Coffer knows beyond it, where there is such a record
//   data/..., OID/...    the data directory and a tree for each tablespace, directories before what is in them;
//                        pg_tblspc/OID links to ../../OID
//   wal/NAME             the WAL from the backup's begin to its end, plain, and the history of its timeline
//   index                a line for each member before it: type, SHA-256 of its bytes (of a link: of its target), size,
//                        mode, owner, group, time of change in ns, name; so whatever is altered is found
//
// The file is named SERVER-ID-HASH.tar[.zst|.gz|.bz2|.xz]; HASH is the begin of the index's SHA-256. Values; foreign
// bytes: throws corrupt, or not_supported for a newer version.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/files.h"

namespace coffer::transfer {

inline constexpr std::uint64_t known_format = 1;
inline constexpr std::uint64_t largest_index = 512 << 20;  // bytes: some four million files
inline constexpr std::string_view header_member = "coffer-export.json";
inline constexpr std::string_view record_member = "backup.info";
inline constexpr std::string_view extra_member = "coffer.json";
inline constexpr std::string_view wal_folder = "wal";
inline constexpr std::string_view index_member = "index";

struct Header {
    std::string server;
    std::string backup_id;
    std::uint64_t systemid = 0;
    std::uint64_t bytes = 0;  // of all files and WAL

    [[nodiscard]] std::string format() const;
    static Header parse(std::string_view text, const std::string& where);
};

struct Entry {
    enum class Type { file, directory, symlink };
    Type type = Type::file;
    std::string path;
    std::uint32_t mode = 0;
    std::int64_t uid = 0, gid = 0;
    std::int64_t modified_ns = 0;  // since 1970
    std::uint64_t size = 0;
    std::string link_target;
    std::string sha256;  // known when all of it was seen

    [[nodiscard]] std::string index_line() const;  // with the newline
};

// "SERVER-ID-HASH": the name of the file without its endings.
std::string stem_of(const Header& header, std::string_view index_hash);
// Does a link at this path lead to somewhere within the backup?
bool stays_inside(std::string_view path, const std::string& target);

}  // namespace coffer::transfer
