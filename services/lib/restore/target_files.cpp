#include "lib/restore/target_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/error.h"

namespace coffer::restore {
namespace {

[[noreturn]] void fail(const char* what, const Path& path) {
    if (errno == ELOOP) {
        throw Error(ErrorCode::refused, "a symbolic link lies in the way of the restore", path.string(),
                    "see who else writes there; then empty the destination and start again");
    }
    if (errno == EEXIST) {
        throw Error(ErrorCode::not_empty, "there is a file of this name already", path.string(),
                    "restore into a new or empty directory, one restore at a time");
    }
    throw Error::from_errno(errno, what, path.string());
}

int try_open(const Path& path, int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.mode = (flags & O_CREAT) != 0 ? mode : 0;
    how.resolve = RESOLVE_NO_SYMLINKS;
    for (;;) {
        long fd = ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
        // Where the system call is missing or filtered away, at least the last part is no link.
        if (fd < 0 && errno == ENOSYS) fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd >= 0 || errno != EINTR) return static_cast<int>(fd);
    }
}

UniqueFd open_parent(const Path& path) {
    return open_target(path.parent_path(), O_PATH | O_DIRECTORY);
}

// A mode that its owner took away would be in the way of its owner only, never of root. By descriptor, so that no link
// is followed (a file opened with O_PATH has no other way).
bool give_rights_back(int parent, const char* name, mode_t mode) {
    const UniqueFd fd(::openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0 || S_ISLNK(status.st_mode)) return false;
    return ::chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), mode) == 0;
}

void remove_at(const Path& path, int flags) {
    const UniqueFd parent = open_parent(path);
    if (::unlinkat(parent.get(), path.filename().c_str(), flags) != 0 && errno != ENOENT) fail("cannot remove", path);
}

}  // namespace

Path real_path(const Path& path) {
    std::error_code ignored;
    Path real = std::filesystem::weakly_canonical(path, ignored);
    if (ignored) real = path.lexically_normal();
    return real.has_filename() ? real : real.parent_path();
}

UniqueFd open_target(const Path& path, int flags, mode_t mode) {
    UniqueFd fd(try_open(path, flags, mode));
    if (!fd) fail("cannot open file", path);
    return fd;
}

std::optional<std::string> read_target(const Path& path, std::size_t limit) {
    UniqueFd fd(try_open(path, O_RDONLY | O_NONBLOCK, 0));
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
    if (!fd) fail("cannot open file", path);
    std::string text(limit, '\0');
    std::size_t filled = 0;
    while (filled < limit) {
        const ssize_t got = ::read(fd.get(), text.data() + filled, limit - filled);
        if (got == 0) break;
        if (got < 0 && errno != EINTR) fail("cannot read file", path);
        if (got > 0) filled += static_cast<std::size_t>(got);
    }
    text.resize(filled);
    return text;
}

void make_directory(const Path& path, const std::optional<Owner>& owner) {
    const UniqueFd parent = open_parent(path);
    const bool made = ::mkdirat(parent.get(), path.filename().c_str(), 0700) == 0;
    if (!made && errno != EEXIST) fail("cannot create directory", path);
    const UniqueFd fd = open_directory_at(parent.get(), path.filename().c_str(), path);
    // Only the owner may; a directory of somebody else that we may write to stays as it is.
    if (!made && ::fchmod(fd.get(), 0700) != 0 && errno != EPERM) fail("cannot set the mode of directory", path);
    if (owner && ::fchown(fd.get(), owner->user, owner->group) != 0) fail("cannot set the owner of directory", path);
}

UniqueFd create_file(const Path& path, const std::optional<Owner>& owner) {
    UniqueFd fd = open_target(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (owner && ::fchown(fd.get(), owner->user, owner->group) != 0) fail("cannot set the owner of file", path);
    return fd;
}

UniqueFd open_directory_at(int parent, const char* name, const Path& path) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd fd(::openat(parent, name, flags));
    if (!fd && errno == EACCES && give_rights_back(parent, name, 0700)) fd.reset(::openat(parent, name, flags));
    if (fd) return fd;
    if (errno == ENOTDIR) errno = ELOOP;  // what open(2) says of a link here; a file would have been refused before
    fail("cannot open directory", path);
}

UniqueFd open_existing(const Path& path, const std::optional<Owner>& owner) {
    // O_NONBLOCK: a pipe does not wait for its other end.
    constexpr int flags = O_RDWR | O_NONBLOCK;
    UniqueFd fd(try_open(path, flags, 0));
    if (!fd && errno == EACCES) {
        const UniqueFd parent = open_parent(path);
        struct stat status {};
        const bool file = ::fstatat(parent.get(), path.filename().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                          S_ISREG(status.st_mode) && status.st_nlink == 1;
        if (file && give_rights_back(parent.get(), path.filename().c_str(), 0600)) fd.reset(try_open(path, flags, 0));
    }
    if (!fd) return fd;
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) fail("cannot look at file", path);
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1) return {};
    if (owner && ::fchown(fd.get(), owner->user, owner->group) != 0) fail("cannot set the owner of file", path);
    if (::fchmod(fd.get(), 0600) != 0) return {};  // somebody else's: a new file takes its place
    return fd;
}

void remove_file(const Path& path) {
    remove_at(path, 0);
}

void remove_directory(const Path& path) {
    remove_at(path, AT_REMOVEDIR);
}

void rename_target(const Path& from, const Path& to) {
    const UniqueFd old_parent = open_parent(from);
    const UniqueFd new_parent = open_parent(to);
    if (::renameat(old_parent.get(), from.filename().c_str(), new_parent.get(), to.filename().c_str()) != 0) {
        fail("cannot rename", from);
    }
}

void make_link(const Path& to, const Path& path, const std::optional<Owner>& owner) {
    const UniqueFd parent = open_parent(path);
    const std::string name = path.filename();
    if (::symlinkat(to.c_str(), parent.get(), name.c_str()) != 0) fail("cannot make link", path);
    if (owner && ::fchownat(parent.get(), name.c_str(), owner->user, owner->group, AT_SYMLINK_NOFOLLOW) != 0) {
        fail("cannot set the owner of the link", path);
    }
}

}  // namespace coffer::restore
