#pragma once
// The file in which a delivery lies until it has its name: hidden from the archiver, gone with this object unless it
// was kept, and locked as long as somebody works on it, so that a later delivery knows what a kill has left.
#include <ctime>
#include <string>

#include "lib/base/files.h"

namespace coffer::delivery {

class LandingFile {
  public:
    LandingFile(const Path& directory, const std::string& name);
    ~LandingFile();
    LandingFile(const LandingFile&) = delete;
    LandingFile& operator=(const LandingFile&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const Path& path() const noexcept { return path_; }
    // It has another name now.
    void kept() noexcept { path_.clear(); }

    // Removes what killed deliveries have left; younger ones may have just been made, and not be locked yet. Never
    // throws: it is nobody's concern today.
    static void remove_leftovers(const Path& directory, std::time_t older_than_seconds = 60) noexcept;

  private:
    Path path_;
    UniqueFd fd_;
};

// The content of a file of our own in memory, as the kernel has it anyway. Nobody else may cut the file meanwhile.
class Mapping {
  public:
    Mapping(int fd, const Path& path);
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    [[nodiscard]] ByteSpan bytes() const noexcept { return {static_cast<const std::byte*>(address_), size_}; }

  private:
    void* address_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace coffer::delivery
