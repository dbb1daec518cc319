#pragma once
// One file of an image that begins as another image's clone: only what differs is written.
//
// The content comes as a stream and is compared with what the clone has, page by page (8 kB). A file whose blocks are
// shared (reflink, snapshot) is written in its place, and the file system keeps the other's blocks. One that is a hard
// link is never written to: at the first difference a new file takes its place when it is finished, and the other image
// keeps the old one. Where the clone has nothing of this name, it is an ordinary new file.
//
// Not synced: one syncfs follows for the whole image. One thread. Errors: io, no_space.
#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "lib/base/files.h"

namespace coffer::image {

class ImageFile {
  public:
    // mode: of the file when it is finished. What is there of another type (a directory, a link) is removed.
    ImageFile(Path path, mode_t mode);
    ~ImageFile();  // without finish(): the new file is removed; one that is written in place stays as far as it came
    ImageFile(const ImageFile&) = delete;
    ImageFile& operator=(const ImageFile&) = delete;

    // The next bytes of the content.
    void append(ByteSpan bytes);
    // What the clone has behind them is cut off. Nothing may be appended afterwards.
    void finish();

    [[nodiscard]] std::uint64_t size() const noexcept { return position_; }
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }  // of these

  private:
    enum class Way { fresh, in_place, linked };
    [[nodiscard]] ByteSpan clones(std::size_t size);
    void compare_in_place(ByteSpan bytes, ByteSpan old);
    void write(ByteSpan bytes, std::uint64_t at);
    void leave_link(std::uint64_t keep);

    const Path path_;
    const mode_t mode_;
    Way way_ = Way::fresh;
    UniqueFd fd_;       // of what is written, or compared
    Path replacement_;  // takes the place of path_ when it is finished
    std::uint64_t old_size_ = 0;
    std::uint64_t position_ = 0;
    std::uint64_t written_ = 0;
    std::vector<std::byte> buffer_;
    bool unreadable_ = false;  // some of what the clone has: said once
};

}  // namespace coffer::image
