#include "tools/clients/received_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"

namespace coffer::clients {
namespace {

constexpr std::size_t unpacked_at_once = std::size_t{512} * 1024;

}  // namespace

ReceivedFile::ReceivedFile(Path temporary, std::string name) : path_(std::move(temporary)), name_(std::move(name)) {
    // Without a name nothing stays of it when we are killed. Not every file system can do that.
    fd_.reset(::open(path_.parent_path().c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (fd_) return;
    ::unlink(path_.c_str());
    fd_ = files().open(path_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    has_name_ = true;
}

ReceivedFile::~ReceivedFile() {
    if (has_name_) ::unlink(path_.c_str());
}

void ReceivedFile::refuse(const std::string& fault) const {
    throw Error(ErrorCode::corrupt, "what was received is damaged: " + fault, name_);
}

void ReceivedFile::begin(bool zstd) {
    zstd_ = zstd;
    if (zstd && !context_) {
        context_.reset(::ZSTD_createDCtx());
        if (!context_) throw Error(ErrorCode::io, "not enough memory for zstd");
    }
}

void ReceivedFile::add(ByteSpan bytes) {
    if (!zstd_) return take_plain(bytes);
    static thread_local std::vector<std::byte> plain(unpacked_at_once);
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    bool more_held = false;
    while (input.pos < input.size || more_held) {
        ZSTD_outBuffer output{plain.data(), plain.size(), 0};
        const std::size_t expected = ::ZSTD_decompressStream(context_.get(), &output, &input);
        if (::ZSTD_isError(expected)) refuse("it cannot be unpacked");
        within_frame_ = expected != 0;
        more_held = within_frame_ && output.pos == output.size;
        take_plain(ByteSpan(plain).first(output.pos));
    }
}

void ReceivedFile::take_plain(ByteSpan bytes) {
    const std::size_t part = std::min(bytes.size(), front_.size() - front_filled_);
    if (part > 0) std::memcpy(front_.data() + front_filled_, bytes.data(), part);
    front_filled_ += part;
    size_ += bytes.size();
    crc_ = crc32c(bytes, crc_);
    files().append(fd_.get(), bytes, path_);
}

void ReceivedFile::finish(std::uint64_t size, std::uint32_t crc) {
    if (within_frame_) refuse("it ends too early");
    if (size != size_) refuse(std::to_string(size_) + " bytes instead of " + std::to_string(size));
    if (crc != crc_) refuse("its checksum is wrong");
}

void ReceivedFile::finish_unchecked() {
    if (size_ == 0) refuse("it is empty");
    if (!is_segment(name_)) return;
    // An unfinished segment into which nothing has come yet is all zeros.
    const bool blank = std::all_of(front_.begin(), front_.end(), [](std::byte byte) { return byte == std::byte{0}; });
    if (!blank && !is_whole_segment(name_, ByteSpan(front_).first(front_filled_), size_)) {
        refuse("it is not the whole segment of this name");
    }
}

void ReceivedFile::move_to(const Path& destination) {
    if (!has_name_) {
        ::unlink(path_.c_str());
        const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
        if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
            throw Error::from_errno(errno, "cannot give the file a name", path_.string());
        }
        has_name_ = true;
    }
    files().rename(path_, destination);
    has_name_ = false;
}

}  // namespace coffer::clients
