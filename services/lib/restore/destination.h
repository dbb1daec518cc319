#pragma once
// Where a restore writes: the data directory and the tablespaces, and whether that can be done. Nothing is changed
// here.
#include <map>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"
#include "lib/restore/copy.h"

namespace coffer::restore {

// A file of this name lies in the destination until the restore is whole; pg_control comes last, so that PostgreSQL
// does not start before.
inline constexpr const char* unfinished_marker = "coffer-restore.unfinished";

// "NAME:PATH", given more than once. Throws invalid_argument (no colon, a path that is not absolute, a name twice).
std::map<std::string, Path> parse_tablespace_mapping(const std::vector<std::string>& options);

struct TablespaceTarget {
    std::string name;
    std::uint32_t oid = 0;
    Path source;  // base/<ID>/<oid>
    Path target;
    bool mapped = false;
};

// Mapped ones at their new place; the others where they were on the original server, or below destination when they
// were inside of the data directory. Throws invalid_argument for a mapping of an unknown name or two into each other.
std::vector<TablespaceTarget> place_tablespaces(const catalogue::BackupInfo& backup, const Path& backup_path,
                                                const Path& destination, const std::map<std::string, Path>& mapping);

// The directories of all servers' catalogues.
std::vector<Path> catalogue_directories(const config::Config& config);

// Absolute, and not in or above one of the taken directories (those of catalogues). Throws invalid_argument, refused.
void check_place(const Path& target, const std::vector<Path>& taken);
// Absent counts as empty; so does one that holds nothing but "lost+found". Throws not_empty for another kind of file.
bool is_empty_target(const Path& target);

// Is inner the same as outer, or below it? Both lexically normal and absolute.
bool is_within(const Path& inner, const Path& outer);

// Absolute, not in or above one of the taken directories (those of catalogues), absent or an empty directory
// ("lost+found" does not count), and not within a data directory that runs. Throws invalid_argument, not_empty,
// refused, permission_denied.
void check_empty_target(const Path& target, const std::vector<Path>& taken);

// The owner of what is restored: the caller; for root the owner of the target (or of the nearest directory above it
// that exists) unless that is root too, then the user "postgres". nullopt: nothing to change.
std::optional<Owner> choose_owner(const Path& destination, std::vector<std::string>& warnings);

// The nearest existing directory at or above path.
Path existing_above(const Path& path);

struct SpaceNeed {
    Path target;
    std::uint64_t bytes = 0;
};
// Sums the needs by file system; throws no_space naming what is needed and what is there.
void check_space(const std::vector<SpaceNeed>& needs);

}  // namespace coffer::restore
