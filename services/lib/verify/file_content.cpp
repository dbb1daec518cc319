#include "lib/verify/file_content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/verify/file_digest.h"

namespace coffer::verify {
namespace {

constexpr std::size_t piece = 256 << 10;  // stays in the processor's cache between the digest and the page checksums
constexpr std::size_t most_blocks = 1000;

}  // namespace

const char* const unreadable_file = "cannot be read: its file system says it is damaged";
const char* const copied_damaged = "has damaged pages, and had them when it was copied";
const char* const damaged_since = "has not the checksum that is in the manifest";

bool says_damaged(int error_number) noexcept {
    return error_number == EIO || error_number == EUCLEAN || error_number == EBADMSG;
}

OpenedFile open_file(const Path& path, const WantedFile& file) {
    OpenedFile opened{UniqueFd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)), std::nullopt};
    if (!opened.fd) {
        if (errno == ENOENT || errno == ENOTDIR) return {{}, "is missing"};
        if (errno == ELOOP || errno == ENXIO) return {{}, "is no file"};
        if (says_damaged(errno)) return {{}, unreadable_file};
        throw Error::from_errno(errno, "cannot open file", path.string());
    }
    struct stat status {};
    if (::fstat(opened.fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
    if (!S_ISREG(status.st_mode)) return {{}, "is no file"};
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (file.in_manifest && size != file.expected.size)
        return {{}, fmt::format("has {} bytes, {} in the manifest", size, file.expected.size)};
    return opened;
}

std::optional<Content> read_content(int fd, const Path& path, const WantedFile& file, bool data_checksums,
                                    const OnPiece& each) {
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    FileDigest digest(file.expected.algorithm);
    const auto first = data_checksums ? image::first_block_of(file.expected.path) : std::nullopt;
    image::PageChecker pages(first.value_or(0), Lsn{});  // from 0 on: what is wrong is all in newer()
    std::vector<std::byte> buffer(piece);
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            // A file system that keeps checksums says so of damage.
            if (says_damaged(errno)) return std::nullopt;
            throw Error::from_errno(errno, "cannot read file", path.string());
        }
        if (got == 0) break;
        const ByteSpan bytes(buffer.data(), static_cast<std::size_t>(got));
        digest.add(bytes);
        if (first) pages.add(bytes);
        each(bytes.size());
    }
    return Content{digest.none() ? std::string() : digest.text(), pages.newer(), pages.checked()};
}

std::optional<Finding> judge(const WantedFile& file, const Content& content, const catalogue::BackupInfo& backup) {
    Finding finding{file.expected.path, {}, {}};
    for (const image::SuspectPage& page : content.wrong) {
        if (page.lsn >= backup.begin_xlog && page.lsn <= backup.end_xlog) continue;
        if (finding.blocks.size() < most_blocks) finding.blocks.push_back(page.block % image::blocks_per_segment);
    }
    std::sort(finding.blocks.begin(), finding.blocks.end());
    const bool other = !content.digest.empty() && content.digest != file.expected.checksum;
    if (!other && finding.blocks.empty()) return std::nullopt;
    finding.what = other ? damaged_since : copied_damaged;
    return finding;
}

}  // namespace coffer::verify
