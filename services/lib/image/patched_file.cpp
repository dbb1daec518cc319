#include "lib/image/patched_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/crc32c_combine.h"
#include "lib/base/error.h"
#include "lib/image/file_parts.h"

namespace coffer::image {
namespace {

constexpr std::size_t read_step = 1 << 20;

Error not_as_before(const char* what, const Path& path) {
    return Error(ErrorCode::corrupt, fmt::format("the file of the earlier backup {}", what), path.string());
}

}  // namespace

PatchedFile::PatchedFile(Path path, mode_t mode, const Before& before)
    : path_(std::move(path)), mode_(mode), before_(before) {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) {
        if (errno == ENOENT) throw not_as_before("is not there", path_);
        throw Error::from_errno(errno, "cannot look at file", path_.string());
    }
    if (!S_ISREG(status.st_mode)) throw not_as_before("is none", path_);
    if (static_cast<std::uint64_t>(status.st_size) != before_.size)
        throw not_as_before("has not the size that its manifest says", path_);
    fd_ = files().open(path_, O_RDONLY | O_NOFOLLOW);
    linked_ = status.st_nlink > 1;
    other_mode_ = (status.st_mode & 07777) != mode_;
    size_ = before_.size;
    crc_ = before_.crc32c;
}

PatchedFile::~PatchedFile() {
    if (!replacement_.empty()) ::unlink(replacement_.c_str());
}

void PatchedFile::begin(const IncrementHeader& header) {
    const std::uint64_t least = std::uint64_t{header.truncation_blocks} * page_size;
    const std::uint64_t wanted = std::uint64_t{header.result_blocks()} * page_size;
    kept_ = std::min(before_.size / page_size * page_size, least);
    const bool changes = !header.blocks.empty() || wanted != before_.size || kept_ != before_.size;
    if (!changes && !other_mode_) return;
    if (kept_ < before_.size) cut(kept_);  // the checksum only, so far
    if (linked_) {
        leave_link(kept_);
    } else {
        fd_ = files().open(path_, O_RDWR | O_NOFOLLOW);
        if (other_mode_ && ::fchmod(fd_.get(), mode_) != 0)
            throw Error::from_errno(errno, "cannot set mode of file", path_.string());
    }
    // First to what is kept: what lies behind that must read as zeros.
    for (const std::uint64_t size : {kept_, wanted}) {
        if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
            throw Error::from_errno(errno, "cannot set size of file", path_.string());
    }
    if (wanted > kept_) crc_ = crc32c_joined(crc_, crc32c_of_zeros(wanted - kept_), wanted - kept_);
    size_ = wanted;
}

// The checksum of a file's begin is not to be had from that of the whole: it is read, and the rest with it, so that
// what is kept is proven.
void PatchedFile::cut(std::uint64_t size) {
    std::vector<std::byte> piece(read_step);
    std::uint32_t whole = 0, begin = 0;
    for (std::uint64_t at = 0; at < before_.size;) {
        const std::uint64_t end = at < size ? size : before_.size;
        const std::size_t step = std::min<std::uint64_t>(piece.size(), end - at);
        read_exactly(fd_.get(), std::span(piece).first(step), at, path_);
        whole = coffer::crc32c(ByteSpan(piece).first(step), whole);
        at += step;
        if (at == size) begin = whole;
    }
    if (whole != before_.crc32c) throw not_as_before("has not the checksum that its manifest says", path_);
    crc_ = begin;
}

void PatchedFile::leave_link(std::uint64_t keep) {
    const UniqueFd old = std::move(fd_);
    fd_ = open_replacement(path_, mode_, old.get(), keep);
    replacement_ = replacement_of(path_);
    written_ += keep;
}

void PatchedFile::put(std::uint32_t block, Page page) {
    const std::uint64_t at = std::uint64_t{block} * page_size;
    std::array<std::byte, page_size> before{};
    if (at + page_size <= kept_) {
        read_exactly(fd_.get(), before, at, path_);
        if (before_.check_pages && !proven_ && !page_is_sound(Page(before), before_.first_block + block)) {
            prove_whole(block);
        }
    }
    if (std::memcmp(before.data(), page.data(), page_size) == 0) return;
    const std::uint32_t change = coffer::crc32c(page) ^ coffer::crc32c(ByteSpan(before));
    crc_ = crc32c_joined(change, crc_, size_ - at - page_size);
    files().write_at(fd_.get(), page, at, path_);
    written_ += page_size;
}

// A page that was being written while it was read is torn in the image as well, and its file no worse for that: what is
// here now, patches included, has the checksum that follows from the manifest's.
void PatchedFile::prove_whole(std::uint32_t block) {
    std::vector<std::byte> piece(read_step);
    std::uint32_t whole = 0;
    for (std::uint64_t at = 0; at < size_;) {
        const std::size_t step = std::min<std::uint64_t>(piece.size(), size_ - at);
        read_exactly(fd_.get(), std::span(piece).first(step), at, path_);
        whole = coffer::crc32c(ByteSpan(piece).first(step), whole);
        at += step;
    }
    if (whole != crc_) throw not_as_before(fmt::format("is damaged in block {}", block).c_str(), path_);
    proven_ = true;
}

void PatchedFile::finish() {
    fd_.reset();
    if (replacement_.empty()) return;
    files().rename(replacement_, path_);
    replacement_.clear();
}

}  // namespace coffer::image
