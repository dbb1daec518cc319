#include "lib/restore/tail.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace coffer::restore {
namespace {

constexpr std::uint64_t page_bytes = 8192;
constexpr std::uint64_t page_header_bytes = 24;
constexpr std::uint64_t long_header_bytes = 40;
constexpr std::uint64_t longest_record = 1ULL << 30;

// How far behind its first byte a record of this length ends, when room bytes are left in the page where it begins.
std::uint64_t span_of_record(std::uint64_t length, std::uint64_t room) {
    if (length <= room) return length;
    const std::uint64_t in_page = page_bytes - page_header_bytes;
    return length + (length - room + in_page - 1) / in_page * page_header_bytes;
}

// The offset behind the last byte that is not zero.
std::uint64_t used(const std::vector<std::byte>& bytes) {
    const auto last = std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte byte) { return byte != std::byte{0}; });
    return static_cast<std::uint64_t>(bytes.rend() - last);
}

}  // namespace

bool log_goes_on_behind(const config::Server& server, const WalChain& chain, const WalPiece& piece, Lsn valid_end) {
    const std::uint64_t begin = piece.segment.begin(chain.size).value;
    const std::uint64_t offset = valid_end.value > begin ? valid_end.value - begin : 0;
    std::vector<std::byte> tail;
    std::uint64_t passed = 0;
    read_piece(server, chain, piece, [&](ByteSpan bytes) {
        const std::uint64_t skip = std::min<std::uint64_t>(offset > passed ? offset - passed : 0, bytes.size());
        tail.insert(tail.end(), bytes.begin() + static_cast<std::ptrdiff_t>(skip), bytes.end());
        passed += bytes.size();
        return true;
    });
    // At the front of a page its header stands before the record.
    const std::uint64_t in_page = offset % page_bytes;
    const std::uint64_t header = in_page != 0 ? 0 : (offset == 0 ? long_header_bytes : page_header_bytes);
    std::uint32_t length = 0;
    if (header + sizeof length > tail.size()) return false;
    std::memcpy(&length, tail.data() + header, sizeof length);
    if (length == 0) return used(tail) > header;
    const std::uint64_t room = page_bytes - in_page - header;
    return length > longest_record || used(tail) > header + span_of_record(length, room);
}

}  // namespace coffer::restore
