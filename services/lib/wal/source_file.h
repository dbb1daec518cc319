#pragma once
// A file that waits to be archived, read once into memory.
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
    static std::optional<SourceFile> read(const Path& path);

    [[nodiscard]] const Path& path() const noexcept { return path_; }
    [[nodiscard]] std::string name() const { return path_.filename().string(); }
    [[nodiscard]] ByteSpan bytes() const noexcept { return {bytes_.get(), size_}; }
    [[nodiscard]] timespec modified() const noexcept { return status_.st_mtim; }
    // Somebody has it open for writing, or wrote to it less than `quiet` ago: what is wrong with it may be right soon.
    [[nodiscard]] bool may_still_be_written(std::chrono::milliseconds quiet) const noexcept;
    // The path still leads to exactly what was read.
    [[nodiscard]] bool unchanged() const noexcept;
    // Gives the memory back; what remains is enough for unchanged().
    void release_bytes() noexcept { bytes_.reset(); }

  private:
    Path path_;
    UniqueFd fd_;
    struct stat status_ {};
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_ = 0;
};

}  // namespace coffer::wal
