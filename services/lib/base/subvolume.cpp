#include "lib/base/subvolume.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>

#include "lib/base/error.h"

namespace coffer {
namespace {

constexpr ino_t root_of_subvolume = 256;  // BTRFS_FIRST_FREE_OBJECTID

UniqueFd open_directory(const Path& path) {
    return files().open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

void put_name(char* field, std::size_t size, const Path& path) {
    const std::string name = path.filename().string();
    if (name.empty() || name.size() >= size) {
        throw Error(ErrorCode::invalid_argument, "not a name for a subvolume", path.string());
    }
    std::memcpy(field, name.c_str(), name.size() + 1);
}

std::uint64_t flags_of(int fd, const Path& subvolume) {
    std::uint64_t flags = 0;
    if (::ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) != 0) {
        throw Error::from_errno(errno, "cannot look at subvolume", subvolume.string());
    }
    return flags;
}

}  // namespace

bool is_on_btrfs(const Path& path) noexcept {
    struct statfs status {};
    return ::statfs(path.c_str(), &status) == 0 && status.f_type == BTRFS_SUPER_MAGIC;
}

bool is_subvolume(const Path& path) noexcept {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_ino == root_of_subvolume &&
           is_on_btrfs(path);
}

void create_subvolume(const Path& path) {
    const UniqueFd parent = open_directory(path.parent_path());
    btrfs_ioctl_vol_args_v2 arguments{};
    put_name(arguments.name, sizeof arguments.name, path);
    if (::ioctl(parent.get(), BTRFS_IOC_SUBVOL_CREATE_V2, &arguments) != 0) {
        throw Error::from_errno(errno, "cannot create subvolume", path.string());
    }
}

void snapshot_subvolume(const Path& from, const Path& to) {
    const UniqueFd source = open_directory(from);
    const UniqueFd parent = open_directory(to.parent_path());
    btrfs_ioctl_vol_args_v2 arguments{};
    arguments.fd = source.get();
    put_name(arguments.name, sizeof arguments.name, to);
    if (::ioctl(parent.get(), BTRFS_IOC_SNAP_CREATE_V2, &arguments) != 0) {
        throw Error::from_errno(errno, "cannot clone subvolume " + from.string(), to.string());
    }
}

bool is_read_only(const Path& subvolume) {
    return (flags_of(open_directory(subvolume).get(), subvolume) & BTRFS_SUBVOL_RDONLY) != 0;
}

void set_read_only(const Path& subvolume, bool on) {
    const UniqueFd fd = open_directory(subvolume);
    std::uint64_t flags = flags_of(fd.get(), subvolume);
    flags = on ? flags | BTRFS_SUBVOL_RDONLY : flags & ~std::uint64_t{BTRFS_SUBVOL_RDONLY};
    if (::ioctl(fd.get(), BTRFS_IOC_SUBVOL_SETFLAGS, &flags) != 0) {
        throw Error::from_errno(errno, on ? "cannot make subvolume read-only" : "cannot make subvolume writable",
                                subvolume.string());
    }
}

void remove_directory_tree(const Path& path) {
    if (is_subvolume(path)) {
        if (is_read_only(path)) set_read_only(path, false);
        const UniqueFd parent = open_directory(path.parent_path());
        btrfs_ioctl_vol_args_v2 arguments{};
        put_name(arguments.name, sizeof arguments.name, path);
        if (::ioctl(parent.get(), BTRFS_IOC_SNAP_DESTROY_V2, &arguments) == 0) return;
    }
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) throw Error::from_errno(error.value(), "cannot remove directory", path.string());
}

}  // namespace coffer
