#include "lib/restore/destination.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/error.h"
#include "lib/base/pretty_size.h"

namespace coffer::restore {
namespace {

namespace fs = std::filesystem;

void require_absolute(const Path& path, const char* what) {
    if (!path.is_absolute()) {
        throw Error(ErrorCode::invalid_argument, fmt::format("the {} is not an absolute path", what), path.string(),
                    "give the whole path, beginning with /");
    }
    if (path.string().find_first_of("\n\r") != std::string::npos) {
        throw Error(ErrorCode::invalid_argument, fmt::format("the {} contains a line break", what), path.string());
    }
}

bool is_empty_directory(const Path& path) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
        if (entry.path().filename() != "lost+found") return false;
    }
    if (error) throw Error::from_errno(error.value(), "cannot read directory", path.string());
    return true;
}

}  // namespace

bool is_within(const Path& inner, const Path& outer) {
    const auto [outer_end, inner_end] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
    (void)inner_end;
    return outer_end == outer.end();
}

std::map<std::string, Path> parse_tablespace_mapping(const std::vector<std::string>& options) {
    std::map<std::string, Path> mapping;
    for (const std::string& option : options) {
        const std::size_t colon = option.find(":/");
        if (colon == 0 || colon == std::string::npos) {
            throw Error(ErrorCode::invalid_argument, "this is no tablespace mapping", option,
                        "write NAME:PATH with an absolute path, once for each tablespace");
        }
        const std::string name = option.substr(0, colon);
        const Path path(option.substr(colon + 1));
        require_absolute(path, "place of a tablespace");
        if (!mapping.emplace(name, path.lexically_normal()).second) {
            throw Error(ErrorCode::invalid_argument, "this tablespace is mapped twice", name);
        }
    }
    return mapping;
}

std::vector<TablespaceTarget> place_tablespaces(const catalogue::BackupInfo& backup, const Path& backup_path,
                                                const Path& destination, const std::map<std::string, Path>& mapping) {
    std::vector<TablespaceTarget> placed;
    std::string names;
    for (const catalogue::Tablespace& tablespace : backup.tablespaces) {
        names += (names.empty() ? "" : ", ") + tablespace.name;
        TablespaceTarget target;
        target.name = tablespace.name;
        target.oid = tablespace.oid;
        target.source = backup_path / std::to_string(tablespace.oid);
        const auto mapped = mapping.find(tablespace.name);
        target.mapped = mapped != mapping.end();
        const Path original(tablespace.location);
        if (target.mapped) {
            target.target = mapped->second;
        } else if (!backup.pgdata.empty() && is_within(original, backup.pgdata)) {
            target.target = destination / original.lexically_relative(backup.pgdata);
        } else {
            target.target = original;
        }
        placed.push_back(std::move(target));
    }
    for (const auto& entry : mapping) {
        const std::string& name = entry.first;
        const bool known = std::any_of(placed.begin(), placed.end(), [&](const auto& t) { return t.name == name; });
        if (known) continue;
        throw Error(ErrorCode::invalid_argument, "this backup has no tablespace of this name", name,
                    names.empty() ? "it has none at all" : "it has: " + names);
    }
    for (const TablespaceTarget& one : placed) {
        for (const TablespaceTarget& other : placed) {
            if (&one == &other || !is_within(real_path(one.target), real_path(other.target))) continue;
            throw Error(ErrorCode::invalid_argument,
                        fmt::format("tablespaces '{}' and '{}' would lie in each other", one.name, other.name),
                        one.target.string());
        }
        if (is_within(real_path(destination), real_path(one.target))) {
            throw Error(ErrorCode::invalid_argument, "the data directory would lie in a tablespace",
                        one.target.string());
        }
    }
    return placed;
}

std::vector<Path> catalogue_directories(const config::Config& config) {
    std::vector<Path> directories;
    for (const auto& [name, server] : config.servers) {
        for (const Path& path :
             {server.backup_directory, server.basebackups_directory, server.wals_directory,
              server.incoming_wals_directory, server.streaming_wals_directory, server.errors_directory}) {
            if (!path.empty()) directories.push_back(path);
        }
    }
    return directories;
}

void check_place(const Path& target, const std::vector<Path>& taken) {
    require_absolute(target, "destination");
    const Path real = real_path(target);
    for (const Path& catalogue : taken) {
        if (is_within(real, real_path(catalogue)) || is_within(real_path(catalogue), real)) {
            throw Error(ErrorCode::refused, "the destination is part of a catalogue, or contains it", target.string(),
                        "choose a directory outside of " + catalogue.string());
        }
    }
}

bool is_empty_target(const Path& target) {
    struct stat status {};
    if (::stat(target.c_str(), &status) != 0) {
        if (errno == ENOENT && ::lstat(target.c_str(), &status) != 0) return true;
        throw Error::from_errno(errno, "cannot look at the destination", target.string());
    }
    if (!S_ISDIR(status.st_mode)) {
        throw Error(ErrorCode::not_empty, "the destination exists and is not a directory", target.string(),
                    "choose another, or remove it");
    }
    return is_empty_directory(target);
}

void check_empty_target(const Path& target, const std::vector<Path>& taken) {
    check_place(target, taken);
    if (is_empty_target(target)) return;
    std::string remedy =
        "restore into a new or empty directory, or onto a data directory of the same cluster with "
        "--delta-restore";
    if (fs::exists(target / "postmaster.pid")) {
        remedy += "; a server may be running here";
    } else if (fs::exists(target / unfinished_marker)) {
        remedy += "; what lies here is a restore that was cut off";
    }
    throw Error(ErrorCode::not_empty, "the destination is not empty", target.string(), remedy);
}

Path existing_above(const Path& path) {
    Path found = path;
    while (!fs::is_directory(found) && found.has_parent_path() && found != found.parent_path())
        found = found.parent_path();
    return found;
}

std::optional<Owner> choose_owner(const Path& destination, std::vector<std::string>& warnings) {
    if (::geteuid() != 0) return std::nullopt;
    struct stat status {};
    const Path above = existing_above(destination);
    if (::stat(above.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot look at directory", above.string());
    if (status.st_uid != 0) return Owner{status.st_uid, status.st_gid};
    if (const passwd* const postgres = ::getpwnam("postgres")) return Owner{postgres->pw_uid, postgres->pw_gid};
    warnings.emplace_back(
        "the files will belong to root, which PostgreSQL refuses: there is no user 'postgres', and the destination "
        "belongs "
        "to root");
    return std::nullopt;
}

void check_space(const std::vector<SpaceNeed>& needs) {
    std::map<dev_t, SpaceNeed> by_file_system;
    for (const SpaceNeed& need : needs) {
        const Path above = existing_above(need.target);
        struct stat status {};
        if (::stat(above.c_str(), &status) != 0)
            throw Error::from_errno(errno, "cannot look at directory", above.string());
        SpaceNeed& sum = by_file_system[status.st_dev];
        if (sum.target.empty()) sum.target = above;
        sum.bytes += need.bytes;
    }
    for (const auto& [device, need] : by_file_system) {
        struct statvfs space {};
        if (::statvfs(need.target.c_str(), &space) != 0) {
            throw Error::from_errno(errno, "cannot ask for free space", need.target.string());
        }
        const std::uint64_t blocks = ::geteuid() == 0 ? space.f_bfree : space.f_bavail;
        const std::uint64_t free = blocks * space.f_frsize;
        if (need.bytes <= free) continue;
        throw Error(ErrorCode::no_space,
                    fmt::format("not enough room: {} are needed, {} are free",
                                pretty_size(static_cast<double>(need.bytes)), pretty_size(static_cast<double>(free))),
                    need.target.string(), "free some space, or restore to another file system");
    }
}

}  // namespace coffer::restore
