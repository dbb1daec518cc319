#pragma once
// Parts of files, read and copied: what writing an image's files has in common. Thread-safe. Errors: io, no_space.
#include <sys/types.h>

#include <span>

#include "lib/base/files.h"

namespace coffer::image {

// Less than asked for at the end of the file only.
std::size_t read_up_to(int fd, std::span<std::byte> to, std::uint64_t at, const Path& path);
void read_exactly(int fd, std::span<std::byte> to, std::uint64_t at, const Path& path);
// The first size bytes, by the kernel where it can.
void copy_begin(int from, int to, std::uint64_t size, const Path& path);

// Where a new file is written that takes the place of a hard link. The name is of no file of PostgreSQL; what a crash
// leaves of it is surplus to the next backup.
Path replacement_of(const Path& path);
// A new file there, open for reading and writing, that begins with so much of the old one.
UniqueFd open_replacement(const Path& path, mode_t mode, int old, std::uint64_t keep);

// A directory of an image, whatever a clone has of this name.
void make_directory_of_image(const Path& path, mode_t mode);
// Owner and, where the cluster lets its group in, the group may read; nobody else.
mode_t file_mode(std::uint32_t mode) noexcept;
mode_t directory_mode(std::uint32_t mode) noexcept;

}  // namespace coffer::image
