#include "lib/restore/move_range.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"

namespace coffer::restore {
namespace {

// How much is copied between two looks at cancellation and two reports of progress.
constexpr std::uint64_t step_size = 8ULL << 20;
constexpr std::uint64_t read_step = 1ULL << 20;
constexpr std::size_t page_size = 8192;

[[noreturn]] void fail(const char* what, const Path& path) {
    throw Error::from_errno(errno, what, path.string());
}

Path source_of(const Range& range) {
    return range.tree.source / range.entry.path;
}

Path target_of(const Range& range) {
    return range.tree.target / range.entry.path;
}

[[noreturn]] void fail_short(const Range& range) {
    throw Error(ErrorCode::corrupt, "a file of the backup became shorter while it was restored",
                source_of(range).string(), "see who writes to the catalogue; choose another backup");
}

// What is missing would read as a hole.
void require_length(const Range& range) {
    struct stat status {};
    if (::fstat(range.in, &status) != 0) fail("cannot look at file", source_of(range));
    if (static_cast<std::uint64_t>(status.st_size) < range.offset + range.length) fail_short(range);
}

bool unsupported(int error_number) {
    return error_number == EOPNOTSUPP || error_number == EXDEV || error_number == EINVAL || error_number == ENOTTY ||
           error_number == ENOSYS || error_number == ETXTBSY;
}

// Where the next data (SEEK_DATA) or the next hole (SEEK_HOLE) begins at or behind offset, at most limit.
std::uint64_t seek(int fd, int whence, std::uint64_t offset, std::uint64_t limit) {
    const off_t found = ::lseek(fd, static_cast<off_t>(offset), whence);
    if (found >= 0) return std::min(static_cast<std::uint64_t>(found), limit);
    // ENXIO: nothing but a hole up to the end. Else the file system does not tell: all is data.
    if (errno == ENXIO || whence == SEEK_HOLE) return limit;
    return offset;
}

// The parts of [offset, offset + length) that are no holes.
void for_each_data(int fd, std::uint64_t offset, std::uint64_t length,
                   const std::function<void(std::uint64_t begin, std::uint64_t end)>& handle) {
    const std::uint64_t limit = offset + length;
    while (offset < limit) {
        const std::uint64_t begin = seek(fd, SEEK_DATA, offset, limit);
        if (begin >= limit) return;
        offset = std::max(seek(fd, SEEK_HOLE, begin, limit), begin + 1);
        handle(begin, offset);
    }
}

std::size_t read_at(int fd, std::span<std::byte> buffer, std::uint64_t offset, const Path& path) {
    for (;;) {
        const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) fail("cannot read file", path);
    }
}

// Fills the buffer, unless the file ends.
std::size_t read_fully(int fd, std::span<std::byte> buffer, std::uint64_t offset, const Path& path) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
        const std::size_t got = read_at(fd, buffer.subspan(filled), offset + filled, path);
        if (got == 0) break;
        filled += got;
    }
    return filled;
}

void write_all(const Range& range, ByteSpan bytes, std::uint64_t offset, bool sparse) {
    const Path target = target_of(range);
    if (!sparse) return files().write_at(range.out, bytes, offset, target);
    for_each_data(range.in, offset, bytes.size(), [&](std::uint64_t begin, std::uint64_t end) {
        files().write_at(range.out, bytes.subspan(begin - offset, end - begin), begin, target);
    });
}

// Writes runs of pages that differ from those there. there: a buffer as large as bytes.
void write_different(const Range& range, ByteSpan bytes, std::uint64_t offset, std::span<std::byte> there,
                     DeltaCounts* counts) {
    const Path target = target_of(range);
    const std::size_t have = read_fully(range.out, there.first(bytes.size()), offset, target);
    const auto differs = [&](std::size_t at) {
        const std::size_t size = std::min(page_size, bytes.size() - at);
        return at + size > have || std::memcmp(bytes.data() + at, there.data() + at, size) != 0;
    };
    std::size_t written = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        std::size_t end = at;
        while (end < bytes.size() && differs(end)) end = std::min(end + page_size, bytes.size());
        if (end == at) {
            at += page_size;
            continue;
        }
        files().write_at(range.out, bytes.subspan(at, end - at), offset + at, target);
        written += end - at;
        at = end;
    }
    if (counts == nullptr) return;
    counts->written += written;
    counts->equal += bytes.size() - written;
}

}  // namespace

bool is_sparse(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && status.st_blocks * 512 < status.st_size;
}

Moved move_range(const Range& range, Way way, const CopyControl& control) {
    const Path source = source_of(range);
    const bool last = range.offset + range.length >= range.entry.size;
    // One more than there should be: a file that has grown is not what the manifest says.
    const std::uint64_t end = range.offset + range.length + (last ? 1 : 0);
    const bool sparse = way == Way::copy && is_sparse(range.in);
    std::vector<std::byte> buffer(std::min(end - range.offset, read_step));
    std::vector<std::byte> there(way == Way::compare ? buffer.size() : 0);
    ::posix_fadvise(range.in, static_cast<off_t>(range.offset), static_cast<off_t>(range.length),
                    POSIX_FADV_SEQUENTIAL);
    Moved moved;
    while (range.offset + moved.size < end) {
        check_canceled(control);
        const std::uint64_t offset = range.offset + moved.size;
        const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), end - offset);
        // Whole pages, so that each is compared with its like.
        const std::size_t got = read_fully(range.in, std::span(buffer).first(wanted), offset, source);
        if (got == 0) break;
        const ByteSpan bytes(buffer.data(), got);
        moved.crc32c = crc32c(bytes, moved.crc32c);
        if (way == Way::copy) write_all(range, bytes, offset, sparse);
        if (way == Way::compare) write_different(range, bytes, offset, there, control.delta);
        moved.size += got;
        if (control.copied) control.copied(got);
    }
    if (control.delta != nullptr) {
        control.delta->read += moved.size;
        if (way == Way::copy) control.delta->written += moved.size;
    }
    return moved;
}

void copy_range(const Range& range, const CopyControl& control) {
    const Path target = target_of(range);
    std::vector<std::byte> buffer;
    const auto copy_data = [&](std::uint64_t offset, std::uint64_t end) {
        while (offset < end) {
            check_canceled(control);
            const std::size_t step = std::min(end - offset, step_size);
            ssize_t copied = -1;
            if (buffer.empty()) {
                auto from = static_cast<off_t>(offset);
                auto to = static_cast<off_t>(offset);
                copied = ::copy_file_range(range.in, &from, range.out, &to, step, 0);
                if (copied < 0 && errno == EINTR) continue;
                if (copied < 0 && !unsupported(errno)) fail("cannot copy file", target);
                if (copied < 0) buffer.resize(read_step);
            }
            if (copied < 0) {
                const std::span<std::byte> part = std::span(buffer).first(std::min(step, buffer.size()));
                copied = static_cast<ssize_t>(read_at(range.in, part, offset, source_of(range)));
                files().write_at(range.out, part.first(static_cast<std::size_t>(copied)), offset, target);
            }
            if (copied == 0) fail_short(range);
            offset += static_cast<std::uint64_t>(copied);
            if (control.copied) control.copied(static_cast<std::uint64_t>(copied));
            if (control.delta == nullptr) continue;
            control.delta->read += static_cast<std::uint64_t>(copied);
            control.delta->written += static_cast<std::uint64_t>(copied);
        }
    };
    require_length(range);
    if (!is_sparse(range.in)) return copy_data(range.offset, range.offset + range.length);
    std::uint64_t holes = range.length;
    for_each_data(range.in, range.offset, range.length, [&](std::uint64_t begin, std::uint64_t end) {
        copy_data(begin, end);
        holes -= end - begin;
    });
    require_length(range);
    if (control.copied) control.copied(holes);
}

}  // namespace coffer::restore
