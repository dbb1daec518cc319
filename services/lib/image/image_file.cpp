#include "lib/image/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/subvolume.h"
#include "lib/image/file_parts.h"

namespace coffer::image {
namespace {

constexpr std::uint64_t block = 8192;
void cut(int fd, std::uint64_t size, const Path& path) {
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0)
        throw Error::from_errno(errno, "cannot cut off file", path.string());
}

}  // namespace

ImageFile::ImageFile(Path path, mode_t mode) : path_(std::move(path)), mode_(mode) {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) {
        if (errno != ENOENT) throw Error::from_errno(errno, "cannot look at file", path_.string());
        fd_ = files().open(path_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode_);
        return;
    }
    if (!S_ISREG(status.st_mode)) {
        if (S_ISDIR(status.st_mode)) {
            remove_directory_tree(path_);
        } else {
            files().unlink(path_);
        }
        fd_ = files().open(path_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode_);
        return;
    }
    old_size_ = static_cast<std::uint64_t>(status.st_size);
    const bool linked = status.st_nlink > 1;
    const bool other_mode = (status.st_mode & 07777) != mode_;
    way_ = linked ? Way::linked : Way::in_place;
    fd_ = files().open(path_, (linked ? O_RDONLY : O_RDWR) | O_NOFOLLOW);
    ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    if (other_mode && linked) leave_link(0);  // a mode is shared as well
    if (other_mode && !linked && ::fchmod(fd_.get(), mode_) != 0)
        throw Error::from_errno(errno, "cannot set mode of file", path_.string());
}

ImageFile::~ImageFile() {
    if (!replacement_.empty()) ::unlink(replacement_.c_str());
}

// From here on what comes is written to a file of its own, which begins with so much of the old one.
void ImageFile::leave_link(std::uint64_t keep) {
    const UniqueFd old = std::move(fd_);
    fd_ = open_replacement(path_, mode_, old.get(), keep);
    replacement_ = replacement_of(path_);
    way_ = Way::fresh;
    written_ += keep;
}

void ImageFile::write(ByteSpan bytes, std::uint64_t at) {
    files().write_at(fd_.get(), bytes, at, path_);
    written_ += bytes.size();
}

// What the clone has at the position, at most so much. What cannot be read is different, and mended by being written.
ByteSpan ImageFile::clones(std::size_t size) {
    if (position_ >= old_size_) return {};
    buffer_.resize(std::max(buffer_.size(), size));
    try {
        return ByteSpan(buffer_).first(read_up_to(fd_.get(), std::span(buffer_).first(size), position_, path_));
    } catch (const Error& error) {
        if (!std::exchange(unreadable_, true))
            log_warning("what an earlier backup has of this file cannot be read, and is written anew: {}",
                        error.what());
        return {};
    }
}

void ImageFile::append(ByteSpan bytes) {
    switch (way_) {
        case Way::fresh:
            write(bytes, position_);
            break;
        case Way::in_place:
            compare_in_place(bytes, clones(bytes.size()));
            break;
        case Way::linked: {
            const ByteSpan old = clones(bytes.size());
            const bool same = old.size() == bytes.size() && std::memcmp(old.data(), bytes.data(), bytes.size()) == 0;
            if (same) break;
            leave_link(position_);
            write(bytes, position_);
            break;
        }
    }
    position_ += bytes.size();
}

// Differing blocks that follow one another are written at once.
void ImageFile::compare_in_place(ByteSpan bytes, ByteSpan old) {
    std::size_t differs_from = 0, at = 0;
    bool differs = false;
    while (at < bytes.size()) {
        const std::size_t step = std::min<std::uint64_t>(bytes.size() - at, block - (position_ + at) % block);
        const bool same = at + step <= old.size() && std::memcmp(bytes.data() + at, old.data() + at, step) == 0;
        if (same && differs) write(bytes.subspan(differs_from, at - differs_from), position_ + differs_from);
        if (!same && !differs) differs_from = at;
        differs = !same;
        at += step;
    }
    if (differs) write(bytes.subspan(differs_from), position_ + differs_from);
}

void ImageFile::finish() {
    if (way_ == Way::linked && position_ < old_size_) leave_link(position_);
    if (way_ == Way::in_place && position_ < old_size_) cut(fd_.get(), position_, path_);
    fd_.reset();
    if (replacement_.empty()) return;
    files().rename(replacement_, path_);
    replacement_.clear();
}

}  // namespace coffer::image
