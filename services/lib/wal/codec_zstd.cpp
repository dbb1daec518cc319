// Zstandard by libzstd. The context of a thread is kept: making one costs more than compressing a quiet segment.
#include <zstd.h>
#include <zstd_errors.h>

#include <memory>

#include "lib/wal/codec_streams.h"

namespace coffer::wal::detail {
namespace {

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const noexcept { ::ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const noexcept { ::ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* compression_context() {
    thread_local std::unique_ptr<ZSTD_CCtx, FreeContext> context;
    if (!context) context.reset(::ZSTD_createCCtx());
    if (!context) throw_no_memory("zstd");
    ::ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_and_parameters);
    return context.get();
}

ZSTD_DCtx* decompression_context() {
    thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context;
    if (!context) context.reset(::ZSTD_createDCtx());
    if (!context) throw_no_memory("zstd");
    ::ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_and_parameters);
    return context.get();
}

void check(std::size_t result) {
    if (::ZSTD_isError(result)) throw Error(ErrorCode::internal, std::string("zstd: ") + ::ZSTD_getErrorName(result));
}

// WAL is short records full of numbers, and pages that repeat what the segment holds already: the fast strategy with
// matches from five bytes on, and tables that stay in a core's own cache, makes it smaller than level 4 does in less
// than half the time (docs/wal-archive.md).
void tune_for_wal(ZSTD_CCtx* context) {
    constexpr int window_log = 19, hash_log = 15, shortest_match = 5;
    check(::ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1));
    check(::ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, ZSTD_fast));
    check(::ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log));
    check(::ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, hash_log));
    check(::ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, shortest_match));
}

}  // namespace

void compress_zstd(ByteSpan data, int level, const Sink& out) {
    ZSTD_CCtx* const context = compression_context();
    if (level == zstd_for_wal) {
        tune_for_wal(context);
    } else {
        check(::ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level));
    }
    check(::ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1));
    check(::ZSTD_CCtx_setPledgedSrcSize(context, data.size()));
    Piece piece(piece_size);
    ZSTD_inBuffer input{data.data(), data.size(), 0};
    std::size_t remaining = 1;
    while (remaining != 0) {
        ZSTD_outBuffer output{piece.data(), piece.size(), 0};
        remaining = ::ZSTD_compressStream2(context, &output, &input, ZSTD_e_end);
        check(remaining);
        out(ByteSpan(piece.data(), output.pos));
    }
}

void decompress_zstd(ByteSource& in, const Sink& out, const std::string& where) {
    ZSTD_DCtx* const context = decompression_context();
    Piece piece(piece_size);
    std::size_t expected = 1;  // 0 exactly between two frames
    for (ByteSpan data = in.next(); !data.empty(); data = in.next()) {
        ZSTD_inBuffer input{data.data(), data.size(), 0};
        bool more_held = false;
        while (input.pos < input.size || more_held) {
            ZSTD_outBuffer output{piece.data(), piece.size(), 0};
            expected = ::ZSTD_decompressStream(context, &output, &input);
            if (::ZSTD_isError(expected)) {
                if (::ZSTD_getErrorCode(expected) == ZSTD_error_memory_allocation) throw_no_memory("zstd");
                throw_damaged(where);
            }
            out(ByteSpan(piece.data(), output.pos));
            more_held = expected != 0 && output.pos == output.size;
        }
    }
    if (expected != 0) throw_truncated(where);
}

}  // namespace coffer::wal::detail
