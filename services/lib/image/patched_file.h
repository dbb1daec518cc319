#pragma once
// The file of a clone to which an increment (increment.h) is applied.
//
// The clone's file must be what the earlier backup's manifest says: its size and checksum are that manifest's, and the
// result's checksum follows from it and from the changes, so that damage of blocks that did not change is never taken
// for right. Nothing is read but what is overwritten, or cut off, and the whole file where such a page is not sound. A
// hard link is never written to: a new file takes its place. Not synced. One thread. Errors: corrupt (not the earlier
// backup's file), io, no_space.
#include <sys/types.h>

#include <cstdint>

#include "lib/base/files.h"
#include "lib/image/increment.h"

namespace coffer::image {

class PatchedFile {
  public:
    // check_pages: the cluster has page checksums; a page that is overwritten must have been sound, or the whole file
    // as the manifest says. first_block: of this file in its relation.
    struct Before {
        std::uint64_t size = 0;
        std::uint32_t crc32c = 0;
        bool check_pages = false;
        std::uint32_t first_block = 0;
    };
    PatchedFile(Path path, mode_t mode, const Before& before);
    ~PatchedFile();  // without finish() a hard link is left as it was
    PatchedFile(const PatchedFile&) = delete;
    PatchedFile& operator=(const PatchedFile&) = delete;

    void begin(const IncrementHeader& header);
    void put(std::uint32_t block, Page page);
    void finish();

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint32_t crc32c() const noexcept { return crc_; }
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

  private:
    void leave_link(std::uint64_t keep);
    void cut(std::uint64_t size);
    void prove_whole(std::uint32_t block);

    const Path path_;
    const mode_t mode_;
    const Before before_;
    UniqueFd fd_;
    Path replacement_;  // takes the place of path_ when it is finished, where that is a hard link
    bool linked_ = false;
    bool other_mode_ = false;
    std::uint64_t kept_ = 0;  // bytes of the earlier file
    std::uint64_t size_ = 0;
    std::uint32_t crc_ = 0;
    std::uint64_t written_ = 0;
    bool proven_ = false;  // all of it was read and is right
};

}  // namespace coffer::image
