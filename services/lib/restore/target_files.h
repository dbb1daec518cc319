#pragma once
// Making files and directories in the destination of a restore.
//
// Root restores into directories that belong to somebody else, who could put a symbolic link in the place of one of
// them while root writes, and so have root write, or give away, what lies elsewhere. So nothing here follows a symbolic
// link in any part of a path (openat2(2), RESOLVE_NO_SYMLINKS), modes and owners are set by descriptor only, and files
// are always new ones. Paths must be absolute, without links of their own: real_path(). All functions are thread-safe.
// Errors: io, no_space, permission_denied, refused (a link where there was none), not_empty (a file
// where there was none).
#include <sys/types.h>

#include <optional>
#include <string>

#include "lib/base/files.h"

namespace coffer::restore {

struct Owner {
    uid_t user;
    gid_t group;
};

// The path without symbolic links as far as it exists, and without a slash at its end.
Path real_path(const Path& path);

// As open(2); O_CLOEXEC is added.
UniqueFd open_target(const Path& path, int flags, mode_t mode = 0);
// The front of a file, at most limit bytes; nullopt when nothing is there.
std::optional<std::string> read_target(const Path& path, std::size_t limit);
// Makes a directory with mode 0700 and the owner; one that is there already is given both.
void make_directory(const Path& path, const std::optional<Owner>& owner);
// Makes a file with mode 0600 and the owner, and opens it for writing. There must be none.
UniqueFd create_file(const Path& path, const std::optional<Owner>& owner);
// Opens one that is there for reading and writing, and gives it mode 0600 and the owner. Empty where there is none that
// may be written in place: nothing, something else than a file, or a file that has another name somewhere (a hard link:
// what is behind that name must stay as it is).
UniqueFd open_existing(const Path& path, const std::optional<Owner>& owner);
// A file or a link itself; absence is no error.
void remove_file(const Path& path);
// An empty directory; absence is no error.
void remove_directory(const Path& path);
// Within one file system; replaces what is there.
void rename_target(const Path& from, const Path& to);
// As open(2) with O_RDONLY | O_DIRECTORY; name is no link. One that its owner took the rights from gets them back.
UniqueFd open_directory_at(int parent, const char* name, const Path& path);
void make_link(const Path& to, const Path& path, const std::optional<Owner>& owner);

}  // namespace coffer::restore
