#include "lib/scrub/shared_bytes.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/image/sha256.h"

namespace coffer::scrub {
namespace {

constexpr std::uint32_t at_once = 256;
constexpr std::uint32_t says_nothing =
    FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL;

void map_extents(int fd, ByteMap& map) {
    std::vector<std::byte> memory(sizeof(fiemap) + at_once * sizeof(fiemap_extent));
    auto* const request = reinterpret_cast<fiemap*>(memory.data());
    const auto* const found = reinterpret_cast<const fiemap_extent*>(memory.data() + offsetof(fiemap, fm_extents));
    for (std::uint64_t from = 0;;) {
        std::fill_n(memory.begin(), sizeof(fiemap), std::byte{});
        request->fm_start = from;
        request->fm_length = FIEMAP_MAX_OFFSET - from;
        request->fm_extent_count = at_once;
        if (::ioctl(fd, FS_IOC_FIEMAP, request) != 0) return;  // a file system that does not tell
        for (std::uint32_t i = 0; i < request->fm_mapped_extents; ++i) {
            const fiemap_extent& each = found[i];
            if ((each.fe_flags & says_nothing) != 0) return;
            map.extents.push_back({each.fe_logical, each.fe_physical, each.fe_length});
            map.shared |= (each.fe_flags & FIEMAP_EXTENT_SHARED) != 0;
            from = each.fe_logical + each.fe_length;
            if ((each.fe_flags & FIEMAP_EXTENT_LAST) != 0) map.mapped = true;
        }
        if (map.mapped || request->fm_mapped_extents == 0) return;
    }
}

}  // namespace

ByteMap byte_map(int fd, const Path& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
    ByteMap map;
    map.device = status.st_dev;
    map.inode = status.st_ino;
    if (status.st_size > 0) map_extents(fd, map);
    map.shared |= status.st_nlink > 1;
    return map;
}

std::string ByteMap::key() const {
    if (!shared) return {};
    if (!mapped) return fmt::format("{}:{}", device, inode);
    image::Sha256 digest;
    digest.add({reinterpret_cast<const char*>(extents.data()), extents.size() * sizeof(Extent)});
    return digest.hex();
}

bool ByteMap::overlaps(const ByteMap& other) const {
    if (device == other.device && inode == other.inode) return true;
    if (!mapped || !other.mapped) return false;
    std::vector<Extent> mine = extents;
    std::sort(mine.begin(), mine.end(), [](const Extent& a, const Extent& b) { return a.physical < b.physical; });
    return std::any_of(other.extents.begin(), other.extents.end(), [&](const Extent& theirs) {
        const auto behind = std::upper_bound(mine.begin(), mine.end(), theirs.physical + theirs.length - 1,
                                             [](std::uint64_t last, const Extent& one) { return last < one.physical; });
        if (behind == mine.begin()) return false;
        const Extent& before = *std::prev(behind);
        return before.physical + before.length > theirs.physical;
    });
}

}  // namespace coffer::scrub
