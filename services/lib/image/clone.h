#pragma once
// How a new image begins: as a clone of an older one, by the cheapest way that the file system has.
//
// Which one that is, is found out by trying, in the directory where it matters; nothing is configured. In a clone made
// of hard links a file's content is another image's as well: whoever changes one writes a new file in its place
// (image_file.h). Thread-safe. Errors: io, no_space, permission_denied, canceled.
#include <functional>
#include <string_view>
#include <vector>

#include "lib/base/files.h"

namespace coffer::image {

enum class CloneWay {
    snapshot,   // of a btrfs subvolume: one step
    reflink,    // file by file (btrfs, XFS): blocks are shared until one of the two is written
    hard_link,  // whole files are shared
};
std::string_view name_of(CloneWay way) noexcept;  // "snapshot", "reflink", "hard link"
// "" or text that is none: nullopt.
std::optional<CloneWay> clone_way_named(std::string_view name) noexcept;

// Of a tree that lies in this directory. Tries it with two small files of no lasting name.
CloneWay best_clone_way(const Path& directory);

// An empty directory for a first image: a subvolume where snapshots can be made of it later.
void make_image_directory(const Path& path);

// The directories of base/ID that hold an image's files: data, and each tablespace under its OID.
std::vector<Path> trees_of(const Path& backup_path);

// Clones the tree from to the new name to: directories with their modes, files with their times too, no symbolic links
// (those of an image lead to its own tablespaces). Takes the next best way where one fails (a directory that is no
// subvolume, a file with too many links already); returns the one that was used for most. Not synced. canceled: asked
// often, from any thread.
CloneWay clone_tree(const Path& from, const Path& to, const std::function<bool()>& canceled = {});

}  // namespace coffer::image
