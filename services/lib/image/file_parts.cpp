#include "lib/image/file_parts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "lib/base/error.h"

namespace coffer::image {
namespace {

constexpr std::size_t copy_step = 1 << 20;

// As far as the kernel can; how far that is.
std::uint64_t copy_in_kernel(int from, int to, std::uint64_t size, const Path& path) {
    off64_t in = 0, out = 0;
    while (static_cast<std::uint64_t>(in) < size) {
        const ssize_t got = ::copy_file_range(from, &in, to, &out, size - static_cast<std::uint64_t>(in), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
            throw Error::from_errno(errno, "cannot copy file", path.string());
        if (got <= 0) break;
    }
    return static_cast<std::uint64_t>(in);
}

}  // namespace

std::size_t read_up_to(int fd, std::span<std::byte> to, std::uint64_t at, const Path& path) {
    std::size_t done = 0;
    while (done < to.size()) {
        const ssize_t got = ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

void read_exactly(int fd, std::span<std::byte> to, std::uint64_t at, const Path& path) {
    if (read_up_to(fd, to, at, path) != to.size()) {
        throw Error(ErrorCode::io, "file became shorter while it was read", path.string());
    }
}

void copy_begin(int from, int to, std::uint64_t size, const Path& path) {
    std::uint64_t at = copy_in_kernel(from, to, size, path);
    std::vector<std::byte> piece(at < size ? copy_step : 0);
    while (at < size) {
        const auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), size - at));
        read_exactly(from, part, at, path);
        files().write_at(to, part, at, path);
        at += part.size();
    }
}

Path replacement_of(const Path& path) {
    return path.parent_path() / (".coffer." + path.filename().string());
}

UniqueFd open_replacement(const Path& path, mode_t mode, int old, std::uint64_t keep) {
    const Path replacement = replacement_of(path);
    ::unlink(replacement.c_str());
    UniqueFd fd = files().open(replacement, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    try {
        copy_begin(old, fd.get(), keep, path);
    } catch (...) {
        ::unlink(replacement.c_str());
        throw;
    }
    return fd;
}

void make_directory_of_image(const Path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return;
    const int error = errno;
    struct stat status {};
    if (error != EEXIST || ::lstat(path.c_str(), &status) != 0) {
        throw Error::from_errno(error, "cannot create directory", path.string());
    }
    if (!S_ISDIR(status.st_mode)) {  // what a clone has of this name
        files().unlink(path);
        return make_directory_of_image(path, mode);
    }
    if ((status.st_mode & 07777) != mode && ::chmod(path.c_str(), mode) != 0) {
        throw Error::from_errno(errno, "cannot set mode of directory", path.string());
    }
}

mode_t file_mode(std::uint32_t mode) noexcept {
    return 0600 | (mode & 0040);
}

mode_t directory_mode(std::uint32_t mode) noexcept {
    return 0700 | (mode & 0050);
}

}  // namespace coffer::image
