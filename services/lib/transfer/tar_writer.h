#pragma once
// Writes a tar (pax, with times in ns and names as they are) into a descriptor, compressed on the way (libarchive
// inside). One thread. Throws no_space, io, invalid_argument (a level that the compression does not have).
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "lib/config/config.h"
#include "lib/transfer/bundle.h"

struct archive;

namespace coffer::transfer {

class TarWriter {
  public:
    // fd is not owned; path is for errors. codec: none, gzip, bzip2, xz or zstd.
    TarWriter(int fd, const Path& path, config::Codec codec, const std::optional<std::string>& level);

    void begin(const Entry& entry);  // the bytes of a file follow, as many as it says
    void data(ByteSpan bytes);
    void finish();
    [[nodiscard]] std::uint64_t bytes_written() const noexcept { return sink_->written; }

  private:
    struct Sink {
        int fd;
        Path path;
        std::uint64_t written = 0;
        std::exception_ptr failure{};
    };
    struct Free {
        void operator()(archive* writer) const noexcept;
    };
    void check(long status, const char* what);

    std::unique_ptr<Sink> sink_;  // libarchive holds its address
    std::unique_ptr<archive, Free> archive_;
};

// ".tar", ".tar.zst"
std::string ending_of(config::Codec codec);

}  // namespace coffer::transfer
