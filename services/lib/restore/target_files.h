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
// Makes a directory with mode 0700 and the owner; one that is there already is given both.
void make_directory(const Path& path, const std::optional<Owner>& owner);
// Makes a file with mode 0600 and the owner, and opens it for writing. There must be none.
UniqueFd create_file(const Path& path, const std::optional<Owner>& owner);
void make_link(const Path& to, const Path& path, const std::optional<Owner>& owner);

}  // namespace coffer::restore
