#include "lib/restore/guard.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>

namespace coffer::restore {
namespace {

// Source: proc(5), /proc/PID/mountinfo: the number of the mount is the first field, the file system's own options the
// last. nullopt when that cannot be told.
std::optional<std::string> mount_options(const Path& directory) {
    struct statx status {};
    if (::statx(AT_FDCWD, directory.c_str(), 0, STATX_MNT_ID, &status) != 0) return std::nullopt;
    if ((status.stx_mask & STATX_MNT_ID) == 0) return std::nullopt;
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream fields(line);
        std::uint64_t number = 0;
        if (fields >> number && number == status.stx_mnt_id) return line.substr(line.rfind(' ') + 1);
    }
    return std::nullopt;
}

bool has_option(const std::string& options, std::string_view wanted) {
    return ("," + options + ",").find("," + std::string(wanted) + ",") != std::string::npos;
}

}  // namespace

bool file_system_guards(const Path& directory) {
    struct statfs status {};
    if (::statfs(directory.c_str(), &status) != 0) return false;
    if (static_cast<std::uint32_t>(status.f_type) != BTRFS_SUPER_MAGIC) return false;
    const auto options = mount_options(directory);
    if (!options || has_option(*options, "nodatasum") || has_option(*options, "nodatacow")) return false;
    const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int flags = 0;
    return fd && ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NOCOW_FL) == 0;
}

}  // namespace coffer::restore
