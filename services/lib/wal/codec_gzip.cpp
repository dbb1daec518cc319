// gzip (RFC 1952) by zlib.
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "lib/wal/codec_streams.h"

namespace coffer::wal::detail {
namespace {

constexpr int gzip_window = 15 + 16;  // zlib: 32 kB window, gzip header and trailer
constexpr int gzip_memory = 9;

Bytef* bytes_of(const std::byte* data) {
    return reinterpret_cast<Bytef*>(const_cast<std::byte*>(data));
}

class Deflater {
  public:
    explicit Deflater(int level) {
        if (::deflateInit2(&stream, level, Z_DEFLATED, gzip_window, gzip_memory, Z_DEFAULT_STRATEGY) != Z_OK) {
            throw_no_memory("gzip");
        }
    }
    ~Deflater() { ::deflateEnd(&stream); }
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;
    z_stream stream{};
};

class Inflater {
  public:
    Inflater() {
        if (::inflateInit2(&stream, gzip_window) != Z_OK) throw_no_memory("gzip");
    }
    ~Inflater() { ::inflateEnd(&stream); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    z_stream stream{};
};

}  // namespace

void compress_gzip(ByteSpan data, int level, const Sink& out) {
    Deflater deflater(level);
    z_stream& stream = deflater.stream;
    Piece piece(piece_size);
    int result = Z_OK;
    while (result != Z_STREAM_END) {
        if (stream.avail_in == 0) {
            const std::size_t size = std::min<std::size_t>(data.size(), std::numeric_limits<int>::max());
            stream.next_in = bytes_of(data.data());
            stream.avail_in = static_cast<uInt>(size);
            data = data.subspan(size);
        }
        stream.next_out = bytes_of(piece.data());
        stream.avail_out = static_cast<uInt>(piece.size());
        result = ::deflate(&stream, data.empty() ? Z_FINISH : Z_NO_FLUSH);
        if (result == Z_STREAM_ERROR) throw Error(ErrorCode::internal, "gzip cannot compress");
        out(ByteSpan(piece.data(), piece.size() - stream.avail_out));
    }
}

void decompress_gzip(ByteSource& in, const Sink& out, const std::string& where) {
    Inflater inflater;
    z_stream& stream = inflater.stream;
    Piece piece(piece_size);
    bool member_ended = false;
    for (;;) {
        if (stream.avail_in == 0) {
            const ByteSpan more = in.next();
            if (more.empty()) break;
            stream.next_in = bytes_of(more.data());
            stream.avail_in = static_cast<uInt>(more.size());
        }
        if (member_ended) {
            ::inflateReset(&stream);
            member_ended = false;
        }
        do {
            stream.next_out = bytes_of(piece.data());
            stream.avail_out = static_cast<uInt>(piece.size());
            const int result = ::inflate(&stream, Z_NO_FLUSH);
            if (result == Z_MEM_ERROR) throw_no_memory("gzip");
            if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) throw_damaged(where);
            out(ByteSpan(piece.data(), piece.size() - stream.avail_out));
            member_ended = result == Z_STREAM_END;
        } while (!member_ended && stream.avail_out == 0);
    }
    if (!member_ended) throw_truncated(where);
}

}  // namespace coffer::wal::detail
