#pragma once
// Reads a tar stream that somebody else delivers in pieces (libarchive inside).
//
// Pull: libarchive asks for the next piece whenever it needs one and hands out pointers into it, so that data is not
// copied. Only the tar formats; compressed (gzip, bzip2, xz, zstd) only where that is allowed. The stream may end
// without the two blocks of zeros (servers before PostgreSQL 15). Foreign bytes: throws corrupt. One thread.
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/files.h"

struct archive;
struct archive_entry;

namespace coffer::image {

struct Member {
    enum class Type { file, directory, symlink, other };
    std::string path;  // as in the archive, without a slash at its end
    Type type = Type::other;
    std::uint32_t mode = 0;
    std::uint64_t size = 0;
    std::string link_target;
    std::int64_t uid = 0, gid = 0;
    std::int64_t modified_ns = 0;  // since 1970
};

class TarReader {
  public:
    // The next piece of the stream, valid until the next call; empty at its end. May throw: the error comes out of the
    // call that wanted the bytes.
    using Pull = std::function<ByteSpan()>;

    // Of archives that are files: what they are compressed with (gzip, bzip2, xz, lz4, zstd) is found from their first
    // bytes.
    enum class Form { plain, any_compression };
    explicit TarReader(Pull pull, Form form = Form::plain);  // pulls the first piece already

    // The next member; what was not read of the one before is skipped. nullopt at the end.
    std::optional<Member> next();
    // The next bytes of the member, valid until the next call; empty at its end.
    ByteSpan data();

  private:
    struct Source {
        Pull pull;
        std::exception_ptr failure;
    };
    struct Free {
        void operator()(archive* reader) const noexcept;
    };
    void check(int status, const char* what);

    std::unique_ptr<Source> source_;  // libarchive holds its address
    std::unique_ptr<archive, Free> archive_;
    std::uint64_t offset_ = 0;  // in the member
    std::uint64_t size_ = 0;
    std::string path_;
};

}  // namespace coffer::image
