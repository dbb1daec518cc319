#pragma once
// Subvolumes of btrfs: directory trees that are cloned in one step, however large, and can be made read-only as a
// whole.
//
// Everything here works for an ordinary user in directories of his own (Linux 4.18 and later): an empty subvolume may
// be removed as a directory is, one with files in it in one step only by root, or where the file system is mounted with
// user_subvol_rm_allowed. Source: linux/btrfs.h, btrfs-ioctl(2). Thread-safe. Errors as Error::from_errno.
#include "lib/base/files.h"

namespace coffer {

// Of a directory; false for anything else, and for what is not there.
[[nodiscard]] bool is_on_btrfs(const Path& path) noexcept;
[[nodiscard]] bool is_subvolume(const Path& path) noexcept;

void create_subvolume(const Path& path);
// A writable clone of the subvolume from; to must not exist, on the same file system. Subvolumes within it are not
// cloned.
void snapshot_subvolume(const Path& from, const Path& to);
[[nodiscard]] bool is_read_only(const Path& subvolume);
void set_read_only(const Path& subvolume, bool on);

// A directory with all that is in it, whether it is a subvolume, read-only even, or none; nothing where it is not
// there. Symbolic links are not followed.
void remove_directory_tree(const Path& path);

}  // namespace coffer
