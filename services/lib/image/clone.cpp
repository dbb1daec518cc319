#include "lib/image/clone.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/base/subvolume.h"

namespace coffer::image {
namespace {

constexpr std::array<std::string_view, 3> names{"snapshot", "reflink", "hard link"};

// A file that has no name, so that nothing is left of it.
UniqueFd nameless(const Path& directory) {
    return UniqueFd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

bool can_reflink_in(const Path& directory) {
    const UniqueFd from = nameless(directory), to = nameless(directory);
    if (!from || !to) return false;
    const std::vector<char> block(4096, 'x');
    if (::pwrite(from.get(), block.data(), block.size(), 0) != static_cast<ssize_t>(block.size())) return false;
    return ::ioctl(to.get(), FICLONE, from.get()) == 0;
}

struct Listing {
    std::vector<std::pair<Path, mode_t>> directories;  // relative, one before what is in it
    std::vector<Path> files;
};

Listing list(const Path& from) {
    Listing listing;
    try {
        for (auto entry = std::filesystem::recursive_directory_iterator(from);
             entry != std::filesystem::recursive_directory_iterator(); ++entry) {
            const auto status = entry->symlink_status();
            Path relative = entry->path().lexically_relative(from);
            if (std::filesystem::is_directory(status)) {
                listing.directories.emplace_back(std::move(relative), static_cast<mode_t>(status.permissions()));
            } else if (std::filesystem::is_regular_file(status)) {
                listing.files.push_back(std::move(relative));
            }
        }
    } catch (const std::filesystem::filesystem_error& error) {
        throw Error::from_errno(error.code().value(), "cannot read directory", error.path1().string());
    }
    return listing;
}

void make_directory(const Path& path, mode_t mode) {
    if (::mkdir(path.c_str(), 0700) != 0) throw Error::from_errno(errno, "cannot create directory", path.string());
    if ((mode & 0777) != 0700 && ::chmod(path.c_str(), mode & 0777) != 0) {
        throw Error::from_errno(errno, "cannot set mode of directory", path.string());
    }
}

void reflink(const Path& from, const Path& to) {
    const UniqueFd in = files().open(from, O_RDONLY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(in.get(), &status) != 0) throw Error::from_errno(errno, "cannot read file", from.string());
    const UniqueFd out = files().open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, status.st_mode & 0777);
    if (::ioctl(out.get(), FICLONE, in.get()) != 0) {
        throw Error::from_errno(errno, "cannot share the blocks of " + from.string(), to.string());
    }
    // By them rsync knows what has not changed. Where they cannot be kept, more is compared.
    const timespec times[2] = {status.st_atim, status.st_mtim};
    (void)::futimens(out.get(), times);
}

// A file that cannot be linked once more (EMLINK) is left out: it is written whole, and begins to be shared anew.
void hard_link(const Path& from, const Path& to) {
    if (::link(from.c_str(), to.c_str()) == 0 || errno == EMLINK) return;
    throw Error::from_errno(errno, "cannot link file " + from.string(), to.string());
}

void clone_files(const Path& from, const Path& to, CloneWay way, const std::function<bool()>& canceled) {
    const Listing listing = list(from);
    struct stat status {};
    if (::stat(from.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot read directory", from.string());
    if (way == CloneWay::reflink) {
        make_image_directory(to);
        if (::chmod(to.c_str(), status.st_mode & 0777) != 0)
            throw Error::from_errno(errno, "cannot set mode of directory", to.string());
    } else {
        make_directory(to, status.st_mode);
    }
    for (const auto& [directory, mode] : listing.directories) make_directory(to / directory, mode);
    run_parallel(listing.files.size(), default_jobs(), [&](std::size_t index) {
        if (canceled && canceled()) throw Error(ErrorCode::canceled, "canceled while an image was cloned");
        const Path& file = listing.files[index];
        way == CloneWay::reflink ? reflink(from / file, to / file) : hard_link(from / file, to / file);
    });
}

// An image's links lead to its own tablespaces; they are made anew for the new one.
void remove_links(const Path& tree) {
    const Path folder = tree / "pg_tblspc";
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
        if (entry.is_symlink()) files().unlink(entry.path());
    }
}

}  // namespace

std::string_view name_of(CloneWay way) noexcept {
    return names.at(static_cast<std::size_t>(way));
}

std::optional<CloneWay> clone_way_named(std::string_view name) noexcept {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return static_cast<CloneWay>(i);
    }
    return std::nullopt;
}

CloneWay best_clone_way(const Path& directory) {
    if (!can_reflink_in(directory)) return CloneWay::hard_link;
    return is_on_btrfs(directory) ? CloneWay::snapshot : CloneWay::reflink;
}

void make_image_directory(const Path& path) {
    if (is_on_btrfs(path.parent_path())) {
        create_subvolume(path);
        if (::chmod(path.c_str(), 0700) != 0) {
            throw Error::from_errno(errno, "cannot set mode of directory", path.string());
        }
        return;
    }
    make_directory(path, 0700);
}

std::vector<Path> trees_of(const Path& backup_path) {
    std::vector<Path> trees;
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(backup_path, absent)) {
        const std::string name = entry.path().filename().string();
        const bool is_tree = name == "data" || name.find_first_not_of("0123456789") == std::string::npos;
        if (is_tree && entry.is_directory() && !entry.is_symlink()) trees.push_back(entry.path());
    }
    return trees;
}

CloneWay clone_tree(const Path& from, const Path& to, const std::function<bool()>& canceled) {
    CloneWay way = best_clone_way(to.parent_path());
    if (way == CloneWay::snapshot && !is_subvolume(from)) way = CloneWay::reflink;
    if (way != CloneWay::snapshot) {
        clone_files(from, to, way, canceled);
        return way;
    }
    snapshot_subvolume(from, to);
    remove_links(to);
    return way;
}

}  // namespace coffer::image
