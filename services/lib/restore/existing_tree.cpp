#include "lib/restore/existing_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <unordered_map>

#include "lib/base/error.h"

namespace coffer::restore {
namespace {

constexpr std::uint64_t block_size = 4096;

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

[[noreturn]] void fail(const char* what, const Path& path) {
    throw Error::from_errno(errno, what, path.string());
}

std::vector<std::string> names_in(int fd, const Path& path) {
    const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) fail("cannot read directory", path);
    const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(copy));
    if (!directory) fail("cannot read directory", path);
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(directory.get());
        if (entry == nullptr && errno != 0) fail("cannot read directory", path);
        if (entry == nullptr) return names;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
}

// What a mount is known by: its number, which bind mounts of one file system do not share, or where the kernel has none
// (before 5.8) that of the file system.
struct MountOf {
    std::uint64_t mount = 0;
    std::uint64_t device = 0;
    bool operator==(const MountOf&) const = default;
};

MountOf mount_of(int directory, const char* name, const Path& path) {
    struct statx status {};
    if (::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0) {
        fail("cannot look at file", path);
    }
    return {(status.stx_mask & STATX_MNT_ID) != 0 ? status.stx_mnt_id : 0,
            (std::uint64_t{status.stx_dev_major} << 32) | status.stx_dev_minor};
}

class Walk {
  public:
    Walk(const Tree& tree, const CopyControl* remove) : tree_(tree), spared_(tree.spared), remove_(remove) {
        for (const TreeEntry& entry : tree.entries) wanted_.emplace(entry.path, &entry);
    }

    Existing run() {
        const UniqueFd root = open_target(tree_.target, O_RDONLY | O_DIRECTORY);
        descend(root.get(), "");
        return found_;
    }

  private:
    struct Item {
        int parent;
        const std::string& name;
        const std::string& relative;
        struct stat status;
    };

    [[nodiscard]] Path at(const std::string& relative) const { return tree_.target / relative; }

    void descend(int directory, const std::string& relative) {
        const MountOf here = mount_of(directory, "", at(relative));
        for (const std::string& name : names_in(directory, at(relative))) {
            if (remove_ != nullptr) check_canceled(*remove_);
            const std::string child = relative.empty() ? name : relative + "/" + name;
            if (spared_.contains(child)) continue;
            Item item{directory, name, child, {}};
            if (::fstatat(directory, name.c_str(), &item.status, AT_SYMLINK_NOFOLLOW) != 0) {
                fail("cannot look at file", at(child));
            }
            if (mount_of(directory, name.c_str(), at(child)) != here && !leads_to_spared(child)) refuse_mount(child);
            look_at(item);
        }
    }

    void look_at(const Item& item) {
        const auto found = wanted_.find(item.relative);
        const TreeEntry* const wanted = found == wanted_.end() ? nullptr : found->second;
        if (S_ISDIR(item.status.st_mode)) {
            const bool stays = (wanted != nullptr && wanted->directory) || leads_to_spared(item.relative);
            below(item);
            if (!stays) remove(item, AT_REMOVEDIR);
            return;
        }
        const bool file = wanted != nullptr && !wanted->directory;
        if (file && !wanted->zeros && S_ISREG(item.status.st_mode) && item.status.st_nlink == 1) {
            ++found_.kept_files;
            const std::uint64_t needed = (wanted->size + block_size - 1) / block_size * block_size;
            found_.kept_space += std::min(on_disk(item), needed);
            return;
        }
        if (!file) {
            ++found_.surplus_files;
            found_.surplus_bytes += S_ISREG(item.status.st_mode) ? static_cast<std::uint64_t>(item.status.st_size) : 0;
        }
        if (item.status.st_nlink == 1) found_.freed_space += on_disk(item);
        remove(item, 0);
    }

    void below(const Item& item) {
        if (remove_ == nullptr) {
            const UniqueFd fd(
                ::openat(item.parent, item.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (fd) return descend(fd.get(), item.relative);
            if (errno != EACCES) fail("cannot read directory", at(item.relative));
            return;
        }
        const UniqueFd fd = open_directory_at(item.parent, item.name.c_str(), at(item.relative));
        // To remove what is in it takes the right to write to it.
        if ((item.status.st_mode & 0700) != 0700 && ::fchmod(fd.get(), 0700) != 0 && errno != EPERM) {
            fail("cannot set the mode of directory", at(item.relative));
        }
        descend(fd.get(), item.relative);
    }

    [[nodiscard]] bool leads_to_spared(const std::string& relative) const {
        const auto next = spared_.lower_bound(relative + "/");
        return next != spared_.end() && next->starts_with(relative + "/");
    }

    static std::uint64_t on_disk(const Item& item) { return static_cast<std::uint64_t>(item.status.st_blocks) * 512; }

    void remove(const Item& item, int flags) const {
        if (remove_ == nullptr) return;
        if (::unlinkat(item.parent, item.name.c_str(), flags) != 0) fail("cannot remove", at(item.relative));
    }

    [[noreturn]] void refuse_mount(const std::string& relative) const {
        throw Error(ErrorCode::refused,
                    "another file system is mounted in the destination, and it would be neither made durable nor "
                    "replaced as a whole",
                    at(relative).string(), "unmount it, or restore to another directory");
    }

    const Tree& tree_;
    const std::set<std::string>& spared_;
    const CopyControl* const remove_;
    std::unordered_map<std::string, const TreeEntry*> wanted_;
    Existing found_;
};

}  // namespace

Existing survey_existing(const Tree& tree) {
    return Walk(tree, nullptr).run();
}

Existing remove_surplus(const Tree& tree, const CopyControl& control) {
    return Walk(tree, &control).run();
}

void remove_tree(const Path& path) {
    struct stat status {};
    const UniqueFd parent = open_target(path.parent_path(), O_PATH | O_DIRECTORY);
    if (::fstatat(parent.get(), path.filename().c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return;
        fail("cannot look at file", path);
    }
    if (!S_ISDIR(status.st_mode)) return remove_file(path);
    Tree nothing;
    nothing.target = path;
    remove_surplus(nothing, {});
    if (::unlinkat(parent.get(), path.filename().c_str(), AT_REMOVEDIR) != 0) fail("cannot remove", path);
}

}  // namespace coffer::restore
