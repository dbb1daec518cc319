#pragma once
// One WAL file on its way in: unpacked and checked as it comes, without a name (or under a temporary one, where the
// file system cannot do that), and given its own only when all of it is here.
//
// Not synced: PostgreSQL syncs what its restore_command brought before it relies on it. Throws corrupt where the bytes
// are not what the sender says, no_space, io. One thread.
#include <zstd.h>

#include <array>
#include <cstdint>
#include <memory>

#include "lib/base/files.h"
#include "tools/clients/names.h"

namespace coffer::clients {

class ReceivedFile {
  public:
    // Replaces what is under the temporary name.
    ReceivedFile(Path temporary, std::string name);
    ~ReceivedFile();  // removes it, unless it has been moved
    ReceivedFile(const ReceivedFile&) = delete;
    ReceivedFile& operator=(const ReceivedFile&) = delete;

    void begin(bool zstd);
    void add(ByteSpan bytes);
    // All has come, and this is what its plain bytes must be.
    void finish(std::uint64_t size, std::uint32_t crc);
    // The same where the sender says nothing: a segment must be whole by its first page.
    void finish_unchecked();
    void move_to(const Path& destination);
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  private:
    void take_plain(ByteSpan bytes);
    void refuse(const std::string& fault) const;

    struct FreeContext {
        void operator()(ZSTD_DCtx* context) const noexcept { ::ZSTD_freeDCtx(context); }
    };
    Path path_;
    std::string name_;
    UniqueFd fd_;
    bool zstd_ = false;
    bool within_frame_ = false;
    bool has_name_ = false;
    std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
    std::array<std::byte, segment_front> front_{};
    std::size_t front_filled_ = 0;
    std::uint64_t size_ = 0;
    std::uint32_t crc_ = 0;
};

}  // namespace coffer::clients
