#include "lib/wal/proof.h"

#include <sys/xattr.h>

#include <cinttypes>
#include <cstdio>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/wal/codec.h"

namespace coffer::wal {
namespace {

constexpr const char* attribute = "user.coffer.proof";

}  // namespace

Proof proof_of(ByteSpan plain) noexcept {
    return {crc32c(plain), plain.size()};
}

bool keep_proof(int fd, const Proof& proof) noexcept {
    char text[40];
    const int length = std::snprintf(text, sizeof text, "%08" PRIx32 " %" PRIu64, proof.crc32c, proof.size);
    return ::fsetxattr(fd, attribute, text, static_cast<std::size_t>(length), 0) == 0;
}

std::optional<Proof> kept_proof(const Path& path) noexcept {
    char text[40];
    const ssize_t length = ::getxattr(path.c_str(), attribute, text, sizeof text - 1);
    if (length <= 0) return std::nullopt;
    text[length] = '\0';
    Proof proof;
    int end = 0;
    if (std::sscanf(text, "%8" SCNx32 " %" SCNu64 "%n", &proof.crc32c, &proof.size, &end) != 2 || end != length) {
        return std::nullopt;
    }
    return proof;
}

bool is_sound(const Path& archived, SegmentSize size, const KnownSystem& known) {
    const auto segment = Segment::parse(archived.filename().string(), size);
    if (!segment) return false;
    const std::optional<Proof> proof = kept_proof(archived);
    Proof found;
    SegmentChecker checker({*segment, size, known.system_identifier, known.major_version}, false);
    try {
        decompress_file(archived, [&](ByteSpan piece) {
            found = {crc32c(piece, found.crc32c), found.size + piece.size()};
            if (!proof) checker.add(piece);
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        return false;
    }
    if (proof) return found == *proof;
    const SegmentCheck check = checker.result();
    return check.complete && !check.damage;
}

}  // namespace coffer::wal
