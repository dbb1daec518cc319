#pragma once
// A file that waits to be archived, read once into memory, when its turn has come (a segment may have 1 GB).
//
// It is not mapped: the writer of an incoming file may cut it at any time, and a mapping would end the service then.
#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/files.h"

namespace coffer::wal {

class SourceFile {
  public:
    // nullopt when it is not there (any more). Throws corrupt when it is no regular file or larger than a WAL file can
    // be.
    static std::optional<SourceFile> open(const Path& path);
    // Reads as much as it had when it was opened. Throws io.
    void read();

    [[nodiscard]] const Path& path() const noexcept { return path_; }
    [[nodiscard]] std::string name() const { return path_.filename().string(); }
    [[nodiscard]] std::uint64_t size() const noexcept { return static_cast<std::uint64_t>(status_.st_size); }
    // Empty before read().
    [[nodiscard]] ByteSpan bytes() const noexcept { return {bytes_.get(), size_}; }
    [[nodiscard]] timespec modified() const noexcept { return status_.st_mtim; }
    // Somebody has it open for writing, or wrote to it less than `quiet` ago: what is wrong with it may be right soon.
    [[nodiscard]] bool may_still_be_written(std::chrono::milliseconds quiet) const noexcept;
    // The path still leads to exactly what was read.
    [[nodiscard]] bool unchanged() const noexcept;
    // Gives the memory back; what remains is enough for unchanged(). A thread keeps that of one segment of usual size
    // for its next file: memory that was not touched before costs more than reading a segment into it.
    void release_bytes() noexcept;
    // A thread that has nothing to do gives that back too.
    static void drop_kept_memory() noexcept;

  private:
    Path path_;
    UniqueFd fd_;
    struct stat status_ {};
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_ = 0;
};

}  // namespace coffer::wal
