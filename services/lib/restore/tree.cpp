#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "lib/base/error.h"
#include "lib/restore/copy.h"

namespace coffer::restore {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

void list_directory(Tree& tree, const std::string& relative, const std::function<bool(const std::string&)>& excluded) {
    const Path path = tree.source / relative;
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
    if (!directory) throw Error::from_errno(errno, "cannot read directory", path.string());
    std::vector<std::string> below;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(directory.get());
        if (entry == nullptr && errno != 0) throw Error::from_errno(errno, "cannot read directory", path.string());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        std::string child = relative.empty() ? std::string(name) : relative + "/" + std::string(name);
        if (excluded && excluded(child)) continue;
        struct stat status {};
        if (::fstatat(::dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            throw Error::from_errno(errno, "cannot read the size of file", (path / name).string());
        }
        if (S_ISDIR(status.st_mode)) {
            tree.entries.push_back({child, 0, true});
            below.push_back(std::move(child));
        } else if (S_ISREG(status.st_mode)) {
            tree.bytes += static_cast<std::uint64_t>(status.st_size);
            ++tree.files;
            tree.entries.push_back({std::move(child), static_cast<std::uint64_t>(status.st_size), false});
        }
    }
    for (const std::string& child : below) list_directory(tree, child, excluded);
}

}  // namespace

Tree list_tree(const Path& source, const Path& target, const std::function<bool(const std::string&)>& excluded) {
    Tree tree;
    tree.source = source;
    tree.target = target;
    list_directory(tree, "", excluded);
    return tree;
}

}  // namespace coffer::restore
