#pragma once
// What already lies where a tree shall be restored to (delta restore): which files stay and are compared, and the
// removal of all else.
//
// A file stays when the backup has one of this name and it has no other name anywhere (hard links: the copy that lies
// behind the other name is somebody's, cp -al makes such). Everything else goes: files and directories that the backup
// does not have, and whatever has the name but not the kind. No symbolic link is followed; links are removed
// themselves. Nor is a mount entered, of another file system or of another part of this one (a bind mount), but for one
// on the way to what is spared. Errors: io, permission_denied, refused (something is mounted within).
#include <cstdint>
#include <string>

#include "lib/restore/copy.h"

namespace coffer::restore {

struct Existing {
    std::uint64_t kept_files = 0;
    std::uint64_t kept_space = 0;  // bytes on disk of these that their new content can use again
    std::uint64_t surplus_files = 0;
    std::uint64_t surplus_bytes = 0;  // their sizes
    std::uint64_t freed_space = 0;    // bytes on disk that their removal frees
};

// Changes nothing; what may not be read counts as not there. Tree::spared is left alone.
Existing survey_existing(const Tree& tree);
// The same, and removes the surplus. tree.target as real_path() gives it.
Existing remove_surplus(const Tree& tree, const CopyControl& control);

// A directory with all that is in it, or a file or link; absence is no error.
void remove_tree(const Path& path);

}  // namespace coffer::restore
