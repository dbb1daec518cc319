#include "lib/scrub/wal_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "lib/base/error.h"
#include "lib/verify/file_content.h"

namespace coffer::scrub {
namespace {

constexpr std::size_t piece = 1 << 20;

struct Bytes {
    std::unique_ptr<std::byte[]> memory;  // not set to zeros first
    std::size_t size = 0;
    [[nodiscard]] ByteSpan span() const { return {memory.get(), size}; }
};

// nullopt: the file system says that it is damaged.
std::optional<Bytes> read_all(int fd, std::size_t size, const Path& path, const OnRead& each) {
    Bytes bytes{std::unique_ptr<std::byte[]>(new std::byte[size]), 0};
    while (bytes.size < size) {
        const ssize_t got = ::read(fd, bytes.memory.get() + bytes.size, std::min(piece, size - bytes.size));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && verify::says_damaged(errno)) return std::nullopt;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        if (got == 0) break;
        bytes.size += static_cast<std::size_t>(got);
        each(static_cast<std::size_t>(got));
    }
    return bytes;
}

}  // namespace

WalVerdict check_wal_file(const Path& path, const wal::FormKnown& form_known, bool from_disk, const OnRead& each) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT) return {std::nullopt, true, false};
        if (errno == ELOOP || errno == ENXIO) return {"is no file", false, false};
        if (verify::says_damaged(errno)) return {verify::unreadable_file, false, false};
        throw Error::from_errno(errno, "cannot open file", path.string());
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
    if (!S_ISREG(status.st_mode)) return {"is no file", false, false};
    if (static_cast<std::uint64_t>(status.st_size) > wal::largest_wal_file) return {"is too large", false, false};
    if (from_disk) ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    const auto stored = read_all(fd.get(), static_cast<std::size_t>(status.st_size), path, each);
    if (!stored) return {verify::unreadable_file, false, false};

    const wal::ArchivedCheck check = wal::check_archived(path, stored->span(), form_known);
    using Result = wal::ArchivedCheck::Result;
    if (check.result == Result::opaque) return {std::nullopt, false, true};
    if (check.result == Result::damaged) return {check.fault, false, false};
    if (wal::kind_of(path.filename().string()) != wal::FileKind::segment && !wal::kept_proof(path))
        (void)wal::keep_proof(fd.get(), check.found);
    return {};
}

}  // namespace coffer::scrub
