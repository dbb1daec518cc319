#pragma once
// The bytes of one range of a file on their way from the backup to the destination; copy.h decides which range goes
// when and by which thread. Errors: io, no_space, canceled.
#include "lib/restore/copy.h"

namespace coffer::restore {

struct Range {
    const Tree& tree;
    const TreeEntry& entry;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    int in = -1;
    int out = -1;
};

enum class Way {
    copy,     // write all but holes
    compare,  // write the pages that differ from what is there (the file has its size already)
    read,     // write nothing: it is there by reflink, and only its checksum is wanted
};

struct Moved {
    std::uint64_t size = 0;  // less than the range where the source ends before, more where it goes on behind the last
    std::uint32_t crc32c = 0;
};

// Reads the range, and gives its checksum.
Moved move_range(const Range& range, Way way, const CopyControl& control);
// Has the kernel copy it, unread, but for its holes.
void copy_range(const Range& range, const CopyControl& control);

// Does the file have holes?
bool is_sparse(int fd);

}  // namespace coffer::restore
