#pragma once
// What codec.cpp hands out to one file per codec: bytes are pulled from a ByteSource and pushed into a Sink, both in
// pieces, so that memory stays small whatever the size. No library calls back into us, hence a Sink may throw.
//
// Decoders read all members of a file (gzip, bzip2, xz, zstd and lz4 files may be several, one behind the other),
// accept nothing else behind the last one, and throw corrupt naming `where` when the data is damaged or ends too early.
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/wal/codec.h"

namespace coffer::wal::detail {

class ByteSource {
  public:
    virtual ~ByteSource() = default;
    // The next piece, valid until the next call; empty at the end.
    virtual ByteSpan next() = 0;
};

constexpr std::size_t piece_size = 256 * 1024;
using Piece = std::vector<std::byte>;

[[noreturn]] inline void throw_damaged(const std::string& where) {
    throw Error(ErrorCode::corrupt, "compressed data is damaged", where);
}
[[noreturn]] inline void throw_truncated(const std::string& where) {
    throw Error(ErrorCode::corrupt, "compressed data ends too early", where);
}
[[noreturn]] inline void throw_no_memory(const char* codec) {
    throw Error(ErrorCode::io, std::string("not enough memory for ") + codec);
}

void compress_gzip(ByteSpan data, int level, const Sink& out);
void compress_bzip2(ByteSpan data, int level, const Sink& out);
void compress_xz(ByteSpan data, int level, const Sink& out);
void compress_zstd(ByteSpan data, int level, const Sink& out);
void compress_lz4(ByteSpan data, int level, const Sink& out);

void decompress_gzip(ByteSource& in, const Sink& out, const std::string& where);
void decompress_bzip2(ByteSource& in, const Sink& out, const std::string& where);
void decompress_xz(ByteSource& in, const Sink& out, const std::string& where);
void decompress_zstd(ByteSource& in, const Sink& out, const std::string& where);
void decompress_lz4(ByteSource& in, const Sink& out, const std::string& where);

}  // namespace coffer::wal::detail
