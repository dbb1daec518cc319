#pragma once
// Where the bytes of a file lie, so that what several backups share is read once and its damage is known of all.
//
// By its extents (FIEMAP; the images of a server lie on one file system), which are those of hard links as well as of
// reflinks. Source: linux/fiemap.h. Thread-safe.
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/files.h"

namespace coffer::scrub {

struct ByteMap {
    struct Extent {
        std::uint64_t logical, physical, length;
        bool operator==(const Extent&) const = default;
    };
    std::vector<Extent> extents;
    std::uint64_t device = 0, inode = 0;
    bool mapped = false;  // the extents say where every byte lies
    bool shared = false;  // another file has some of them, or it is a hard link

    // Equal where all bytes are the same ones on disk; empty where nothing is shared.
    [[nodiscard]] std::string key() const;
    // Have the two any byte on disk in common?
    [[nodiscard]] bool overlaps(const ByteMap& other) const;
};

// Throws io.
ByteMap byte_map(int fd, const Path& path);

}  // namespace coffer::scrub
