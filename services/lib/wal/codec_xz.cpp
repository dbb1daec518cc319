// xz by liblzma, with CRC-64 as the xz tool writes it.
#include <lzma.h>

#include "lib/wal/codec_streams.h"

namespace coffer::wal::detail {
namespace {

const std::uint8_t* bytes_of(const std::byte* data) {
    return reinterpret_cast<const std::uint8_t*>(data);
}

class Coder {
  public:
    Coder() = default;
    ~Coder() { ::lzma_end(&stream); }
    Coder(const Coder&) = delete;
    Coder& operator=(const Coder&) = delete;
    // One step into the piece; the bytes that came out.
    lzma_ret step(Piece& piece, lzma_action action) {
        stream.next_out = reinterpret_cast<std::uint8_t*>(piece.data());
        stream.avail_out = piece.size();
        return ::lzma_code(&stream, action);
    }
    lzma_stream stream = LZMA_STREAM_INIT;
};

}  // namespace

void compress_xz(ByteSpan data, int level, const Sink& out) {
    Coder coder;
    if (::lzma_easy_encoder(&coder.stream, static_cast<std::uint32_t>(level), LZMA_CHECK_CRC64) != LZMA_OK) {
        throw_no_memory("xz");
    }
    coder.stream.next_in = bytes_of(data.data());
    coder.stream.avail_in = data.size();
    Piece piece(piece_size);
    lzma_ret result = LZMA_OK;
    while (result != LZMA_STREAM_END) {
        result = coder.step(piece, LZMA_FINISH);
        if (result == LZMA_MEM_ERROR) throw_no_memory("xz");
        if (result != LZMA_OK && result != LZMA_STREAM_END) throw Error(ErrorCode::internal, "xz cannot compress");
        out(ByteSpan(piece.data(), piece.size() - coder.stream.avail_out));
    }
}

void decompress_xz(ByteSource& in, const Sink& out, const std::string& where) {
    constexpr std::uint64_t memory_limit = 512ULL << 20;  // preset 9 needs 65 MB; more is no file of ours
    Coder coder;
    if (::lzma_stream_decoder(&coder.stream, memory_limit, LZMA_CONCATENATED) != LZMA_OK) throw_no_memory("xz");
    Piece piece(piece_size);
    bool at_end = false;
    lzma_ret result = LZMA_OK;
    while (result != LZMA_STREAM_END) {
        if (coder.stream.avail_in == 0 && !at_end) {
            const ByteSpan more = in.next();
            at_end = more.empty();
            coder.stream.next_in = bytes_of(more.data());
            coder.stream.avail_in = more.size();
        }
        result = coder.step(piece, at_end ? LZMA_FINISH : LZMA_RUN);
        if (result == LZMA_BUF_ERROR) throw_truncated(where);
        if (result == LZMA_MEM_ERROR) throw_no_memory("xz");
        if (result != LZMA_OK && result != LZMA_STREAM_END) throw_damaged(where);
        out(ByteSpan(piece.data(), piece.size() - coder.stream.avail_out));
    }
}

}  // namespace coffer::wal::detail
