#include "lib/wal/other_copy.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/page_header.h"
#include "lib/wal/proof.h"
#include "lib/wal/segment_check.h"

namespace coffer::wal {
namespace {

// front gets the first bytes of the one that is held.
OtherCopy compare_content(const Path& held, ByteSpan plain, std::vector<std::byte>& front) {
    std::size_t at = 0;
    bool same = true;
    try {
        decompress_file(held, [&](ByteSpan piece) {
            const std::size_t more = std::min(piece.size(), long_header_size - front.size());
            front.insert(front.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(more));
            same = same && piece.size() <= plain.size() - at &&
                   std::memcmp(piece.data(), plain.data() + at, piece.size()) == 0;
            if (same) at += piece.size();
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        return OtherCopy::damaged;
    }
    return same && at == plain.size() ? OtherCopy::same : OtherCopy::different;
}

bool is_broken(const Path& held, ByteSpan front, const SegmentIdentity& arrived, const KnownSystem& known) {
    const auto itself = identify_segment(front);
    const bool same_origin =
        itself && itself->system_identifier == arrived.system_identifier && itself->size == arrived.size;
    return (same_origin || kept_proof(held)) && !is_sound(held, arrived.size, known);
}

}  // namespace

OtherCopy compare_with_held(const Path& held, std::string_view name, ByteSpan plain, const KnownSystem& known) {
    std::vector<std::byte> front;
    const OtherCopy found = compare_content(held, plain, front);
    if (found != OtherCopy::different) return found;
    // Where nothing is compressed nothing else tells that bytes have changed since. The new one is known to be good.
    const auto segment = kind_of(name) == FileKind::segment ? identify_segment(plain) : std::nullopt;
    return segment && is_broken(held, front, *segment, known) ? OtherCopy::damaged : found;
}

}  // namespace coffer::wal
