// bzip2 by libbz2.
#include <bzlib.h>

#include <algorithm>
#include <limits>

#include "lib/wal/codec_streams.h"

namespace coffer::wal::detail {
namespace {

char* chars_of(const std::byte* data) {
    return reinterpret_cast<char*>(const_cast<std::byte*>(data));
}

class Compressor {
  public:
    explicit Compressor(int level) {
        if (::BZ2_bzCompressInit(&stream, level, 0, 0) != BZ_OK) throw_no_memory("bzip2");
    }
    ~Compressor() { ::BZ2_bzCompressEnd(&stream); }
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;
    bz_stream stream{};
};

class Decompressor {
  public:
    Decompressor() { begin(); }
    ~Decompressor() { ::BZ2_bzDecompressEnd(&stream); }
    Decompressor(const Decompressor&) = delete;
    Decompressor& operator=(const Decompressor&) = delete;
    // The next member: libbz2 has no reset.
    void restart() {
        char* const next = stream.next_in;
        const unsigned available = stream.avail_in;
        ::BZ2_bzDecompressEnd(&stream);
        stream = {};
        begin();
        stream.next_in = next;
        stream.avail_in = available;
    }
    bz_stream stream{};

  private:
    void begin() {
        if (::BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) throw_no_memory("bzip2");
    }
};

}  // namespace

void compress_bzip2(ByteSpan data, int level, const Sink& out) {
    Compressor compressor(level);
    bz_stream& stream = compressor.stream;
    Piece piece(piece_size);
    int result = BZ_RUN_OK;
    while (result != BZ_STREAM_END) {
        if (stream.avail_in == 0) {
            const std::size_t size = std::min<std::size_t>(data.size(), std::numeric_limits<int>::max());
            stream.next_in = chars_of(data.data());
            stream.avail_in = static_cast<unsigned>(size);
            data = data.subspan(size);
        }
        stream.next_out = chars_of(piece.data());
        stream.avail_out = static_cast<unsigned>(piece.size());
        result = ::BZ2_bzCompress(&stream, data.empty() ? BZ_FINISH : BZ_RUN);
        if (result < 0) throw Error(ErrorCode::internal, "bzip2 cannot compress");
        out(ByteSpan(piece.data(), piece.size() - stream.avail_out));
    }
}

void decompress_bzip2(ByteSource& in, const Sink& out, const std::string& where) {
    Decompressor decompressor;
    Piece piece(piece_size);
    bool member_ended = false;
    for (;;) {
        bz_stream& stream = decompressor.stream;
        if (stream.avail_in == 0) {
            const ByteSpan more = in.next();
            if (more.empty()) break;
            stream.next_in = chars_of(more.data());
            stream.avail_in = static_cast<unsigned>(more.size());
        }
        if (member_ended) {
            decompressor.restart();
            member_ended = false;
        }
        do {
            stream.next_out = chars_of(piece.data());
            stream.avail_out = static_cast<unsigned>(piece.size());
            const int result = ::BZ2_bzDecompress(&stream);
            if (result == BZ_MEM_ERROR) throw_no_memory("bzip2");
            if (result != BZ_OK && result != BZ_STREAM_END) throw_damaged(where);
            out(ByteSpan(piece.data(), piece.size() - stream.avail_out));
            member_ended = result == BZ_STREAM_END;
        } while (!member_ended && stream.avail_out == 0);
    }
    if (!member_ended) throw_truncated(where);
}

}  // namespace coffer::wal::detail
