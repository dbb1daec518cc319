#include "lib/wal/source_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "lib/base/error.h"
#include "lib/wal/admission.h"

namespace coffer::wal {
namespace {

constexpr std::size_t kept_size = 16 << 20;
thread_local std::unique_ptr<std::byte[]> kept;  // of kept_size, or none

std::unique_ptr<std::byte[]> memory_for(std::size_t size) {
    if (size > kept_size) return std::unique_ptr<std::byte[]>(new std::byte[size]);
    if (kept) return std::move(kept);
    // Not make_unique: that writes every byte first. What is not used costs nothing.
    return std::unique_ptr<std::byte[]>(new std::byte[kept_size]);
}

}  // namespace

void SourceFile::release_bytes() noexcept {
    if (bytes_ && static_cast<std::size_t>(status_.st_size) <= kept_size) kept = std::move(bytes_);
    bytes_.reset();
    size_ = 0;
}

void SourceFile::drop_kept_memory() noexcept {
    kept.reset();
}

std::optional<SourceFile> SourceFile::open(const Path& path) {
    SourceFile source;
    source.path_ = path;
    // O_NONBLOCK: a pipe must not hold the worker.
    source.fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!source.fd_) {
        if (errno == ENOENT) return std::nullopt;
        if (errno == ELOOP) throw Error(ErrorCode::corrupt, "is a symbolic link", path.string());
        throw Error::from_errno(errno, "cannot open file", path.string());
    }
    if (::fstat(source.fd_.get(), &source.status_) != 0)
        throw Error::from_errno(errno, "cannot read file", path.string());
    if (!S_ISREG(source.status_.st_mode)) throw Error(ErrorCode::corrupt, "is no regular file", path.string());
    if (static_cast<std::uint64_t>(source.status_.st_size) > largest_wal_file) {
        throw Error(ErrorCode::corrupt, "is larger than a WAL file can be", path.string());
    }
    return source;
}

void SourceFile::read() {
    const auto size = static_cast<std::size_t>(status_.st_size);
    release_bytes();
    bytes_ = memory_for(size);
    while (size_ < size) {
        const ssize_t got = ::pread(fd_.get(), bytes_.get() + size_, size - size_, static_cast<off_t>(size_));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path_.string());
        if (got == 0) break;
        size_ += static_cast<std::size_t>(got);
    }
}

bool SourceFile::may_still_be_written(std::chrono::milliseconds quiet) const noexcept {
    // The kernel grants a read lease only on a file that nobody has open for writing (fcntl(2)). Who opens it in the
    // moment that we hold it makes a signal, which must be one that is ignored: SIGIO would end us.
    ::fcntl(fd_.get(), F_SETSIG, SIGURG);
    if (::fcntl(fd_.get(), F_SETLEASE, F_RDLCK) == 0) {
        ::fcntl(fd_.get(), F_SETLEASE, F_UNLCK);
    } else if (errno == EAGAIN) {
        return true;
    }
    if (!unchanged()) return true;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto age = std::chrono::seconds(now.tv_sec - status_.st_ctim.tv_sec) +
                     std::chrono::nanoseconds(now.tv_nsec - status_.st_ctim.tv_nsec);
    return age >= std::chrono::seconds(0) && age < quiet;
}

bool SourceFile::unchanged() const noexcept {
    struct stat now {};
    return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == status_.st_dev && now.st_ino == status_.st_ino &&
           now.st_size == status_.st_size && now.st_mtim.tv_sec == status_.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == status_.st_mtim.tv_nsec;
}

}  // namespace coffer::wal
