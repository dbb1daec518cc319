#include "tools/cofferctl/image_way.h"

#include <unistd.h>

#include "lib/image/clone.h"

namespace coffer::cofferctl {

std::string image_way(const config::Server& server) {
    if (!server.clone_images) return "none, reuse_backup = off: each backup has files of its own";
    const Path& directory = server.basebackups_directory;
    // Trying needs a place to try in.
    if (::access(directory.c_str(), W_OK | X_OK) != 0) return "not known to this user: " + directory.string();
    switch (image::best_clone_way(directory)) {
        case image::CloneWay::snapshot:
            return "snapshot (btrfs): backups share blocks";
        case image::CloneWay::reflink:
            return "reflink: backups share blocks";
        case image::CloneWay::hard_link:
            break;
    }
    return "hard link: backups share whole files that have not changed";
}

}  // namespace coffer::cofferctl
