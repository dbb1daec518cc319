// LZ4 in its frame format, by liblz4, with a checksum of the content (the format's block data has none of its own).
#include <lz4frame.h>

#include <algorithm>
#include <memory>

#include "lib/wal/codec_streams.h"

namespace coffer::wal::detail {
namespace {

struct FreeContext {
    void operator()(LZ4F_cctx* context) const noexcept { ::LZ4F_freeCompressionContext(context); }
    void operator()(LZ4F_dctx* context) const noexcept { ::LZ4F_freeDecompressionContext(context); }
};

void check(std::size_t result) {
    if (::LZ4F_isError(result)) throw Error(ErrorCode::internal, std::string("lz4: ") + ::LZ4F_getErrorName(result));
}

}  // namespace

void compress_lz4(ByteSpan data, int level, const Sink& out) {
    LZ4F_cctx* made = nullptr;
    if (::LZ4F_isError(::LZ4F_createCompressionContext(&made, LZ4F_VERSION))) throw_no_memory("lz4");
    const std::unique_ptr<LZ4F_cctx, FreeContext> context(made);
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max1MB;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.contentSize = data.size();
    preferences.compressionLevel = level;

    constexpr std::size_t step = 1024 * 1024;
    Piece piece(::LZ4F_compressBound(step, &preferences));
    std::size_t produced = ::LZ4F_compressBegin(context.get(), piece.data(), piece.size(), &preferences);
    check(produced);
    out(ByteSpan(piece.data(), produced));
    while (!data.empty()) {
        const std::size_t size = std::min(data.size(), step);
        produced = ::LZ4F_compressUpdate(context.get(), piece.data(), piece.size(), data.data(), size, nullptr);
        check(produced);
        out(ByteSpan(piece.data(), produced));
        data = data.subspan(size);
    }
    produced = ::LZ4F_compressEnd(context.get(), piece.data(), piece.size(), nullptr);
    check(produced);
    out(ByteSpan(piece.data(), produced));
}

void decompress_lz4(ByteSource& in, const Sink& out, const std::string& where) {
    LZ4F_dctx* made = nullptr;
    if (::LZ4F_isError(::LZ4F_createDecompressionContext(&made, LZ4F_VERSION))) throw_no_memory("lz4");
    const std::unique_ptr<LZ4F_dctx, FreeContext> context(made);
    Piece piece(piece_size);
    std::size_t expected = 1;  // 0 exactly between two frames
    for (ByteSpan data = in.next(); !data.empty(); data = in.next()) {
        bool more_held = false;
        while (!data.empty() || more_held) {
            std::size_t taken = data.size();
            std::size_t produced = piece.size();
            expected = ::LZ4F_decompress(context.get(), piece.data(), &produced, data.data(), &taken, nullptr);
            if (::LZ4F_isError(expected)) throw_damaged(where);
            out(ByteSpan(piece.data(), produced));
            data = data.subspan(taken);
            more_held = expected != 0 && produced == piece.size();
        }
    }
    if (expected != 0) throw_truncated(where);
}

}  // namespace coffer::wal::detail
