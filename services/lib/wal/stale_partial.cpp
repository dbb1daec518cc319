#include "lib/wal/stale_partial.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "lib/wal/proof.h"

namespace coffer::wal {
namespace {

// For as long as it is held nobody can begin to write to the file (fcntl(2)); as SourceFile has it. Goes with the
// descriptor.
bool take_lease(int fd) noexcept {
    ::fcntl(fd, F_SETSIG, SIGURG);
    return ::fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
}
bool still_held(int fd) noexcept {
    return ::fcntl(fd, F_GETLEASE) == F_RDLCK;
}

// What is fed to it, against the unfinished file: the same up to some place, and only zeros in the file from there on.
class Beginning {
  public:
    Beginning(int fd, const Path& path) : fd_(fd), path_(path) {}

    void compare(ByteSpan whole) {
        if (!held_) return;
        buffer_.resize(whole.size());
        for (std::size_t filled = 0; filled < buffer_.size();) {
            const ssize_t got =
                ::pread(fd_, buffer_.data() + filled, buffer_.size() - filled, static_cast<off_t>(at_ + filled));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw Error::from_errno(errno, "cannot read file", path_.string());
            if (got == 0) {
                held_ = false;
                return;
            }
            filled += static_cast<std::size_t>(got);
        }
        auto rest = buffer_.begin();
        if (same_) rest = std::mismatch(buffer_.begin(), buffer_.end(), whole.begin()).first;
        same_ = rest == buffer_.end() && same_;
        held_ = std::all_of(rest, buffer_.end(), [](std::byte byte) { return byte == std::byte{0}; });
        at_ += whole.size();
    }
    [[nodiscard]] bool held(std::uint64_t size) const noexcept { return held_ && at_ == size; }

  private:
    int fd_;
    const Path& path_;
    std::vector<std::byte> buffer_;
    std::uint64_t at_ = 0;
    bool same_ = true;
    bool held_ = true;
};

bool remove_if_stale(const config::Server& server, const Path& partial) {
    const std::string name = partial.filename().string();
    const Path archived = archive_path(server, name.substr(0, 24));
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(archived, ignored)) return false;
    const UniqueFd fd(::open(partial.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd && (errno == ENOENT || errno == ELOOP)) return false;
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot open file", partial.string());
    const auto size =
        SegmentSize::from_bytes(static_cast<std::uint64_t>(status.st_size));  // it has that from the start
    if (!S_ISREG(status.st_mode) || !size || !take_lease(fd.get()) || !is_sound(archived, *size, {})) return false;
    Beginning beginning(fd.get(), partial);
    decompress_file(archived, [&](ByteSpan piece) { beginning.compare(piece); });
    if (!beginning.held(size->bytes()) || !still_held(fd.get())) return false;
    files().unlink(partial);
    return true;
}

}  // namespace

std::vector<std::string> remove_stale_partials(const config::Server& server) {
    std::vector<std::string> removed;
    if (server.streaming_archiver) return removed;
    std::error_code error;
    std::filesystem::directory_iterator entry(server.streaming_wals_directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        std::string name = entry->path().filename().string();
        if (kind_of(name) != FileKind::partial) continue;
        try {
            if (remove_if_stale(server, entry->path())) removed.push_back(std::move(name));
        } catch (const Error& failure) {  // the others are looked at all the same
            log_warning("server {}: cannot tell whether {} is needed: {}", server.name, name, failure.full_text());
        }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        throw Error::from_errno(error.value(), "cannot list directory", server.streaming_wals_directory.string());
    }
    if (!removed.empty()) files().sync_directory(server.streaming_wals_directory);
    return removed;
}

}  // namespace coffer::wal
