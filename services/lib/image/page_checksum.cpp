#include "lib/image/page_checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace coffer::image {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t lanes = 32;
constexpr std::size_t rows = page_size / (lanes * sizeof(std::uint32_t));
constexpr std::uint32_t fnv_prime = 16777619;
constexpr std::size_t checksum_offset = 8;
constexpr std::size_t upper_offset = 14;

// What each lane begins with: part of the format.
constexpr std::array<std::uint32_t, lanes> seeds{
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

constexpr std::uint32_t mix(std::uint32_t sum, std::uint32_t value) noexcept {
    const std::uint32_t both = sum ^ value;
    return (both * fnv_prime) ^ (both >> 17);
}

// The compiler makes vector instructions of the inner loop; which ones is found when the program starts.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("avx2", "default"), optimize("O3")))
#endif
std::uint32_t
sum_of(const std::byte* page) noexcept {
    std::array<std::uint32_t, lanes> sums = seeds;
    std::array<std::uint32_t, lanes> row;
    for (std::size_t i = 0; i < rows; ++i) {
        std::memcpy(row.data(), page + i * sizeof row, sizeof row);
        if (i == 0) row[2] &= 0xFFFF0000;  // the checksum itself
        for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] = mix(sums[lane], row[lane]);
    }
    for (int round = 0; round < 2; ++round) {
        for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] = mix(sums[lane], 0);
    }
    std::uint32_t result = 0;
    for (const std::uint32_t sum : sums) result ^= sum;
    return result;
}

template <typename Number>
Number read_at(Page page, std::size_t offset) noexcept {
    Number value;
    std::memcpy(&value, page.data() + offset, sizeof value);
    return value;
}

bool take_number(std::string_view& text, std::uint64_t& number) noexcept {
    std::size_t length = 0;
    number = 0;
    while (length < text.size() && length < 10 && text[length] >= '0' && text[length] <= '9') {
        number = number * 10 + static_cast<std::uint64_t>(text[length++] - '0');
    }
    text.remove_prefix(length);
    return length > 0;
}

bool take(std::string_view& text, std::string_view token) noexcept {
    if (!text.starts_with(token)) return false;
    text.remove_prefix(token.size());
    return true;
}

// The directory that holds relations: "global/", "base/5/", "pg_tblspc/16384/PG_15_202209061/5/".
bool take_directory(std::string_view& path) noexcept {
    std::uint64_t oid = 0;
    if (take(path, "global/")) return true;
    if (take(path, "pg_tblspc/")) {
        if (!take_number(path, oid) || !take(path, "/PG_")) return false;
        const std::size_t slash = path.find('/');
        if (slash == path.npos) return false;
        path.remove_prefix(slash + 1);
        return take_number(path, oid) && take(path, "/");
    }
    return take(path, "base/") && take_number(path, oid) && take(path, "/");
}

}  // namespace

std::uint16_t page_checksum(Page page, std::uint32_t block) noexcept {
    return static_cast<std::uint16_t>((sum_of(page.data()) ^ block) % 65535 + 1);
}

Lsn page_lsn(Page page) noexcept {
    return Lsn{(static_cast<std::uint64_t>(read_at<std::uint32_t>(page, 0)) << 32) | read_at<std::uint32_t>(page, 4)};
}

bool page_is_new(Page page) noexcept {
    return read_at<std::uint16_t>(page, upper_offset) == 0;
}

bool page_is_sound(Page page, std::uint32_t block) noexcept {
    if (!page_is_new(page)) return page_checksum(page, block) == stored_checksum(page);
    // Compared with itself, shifted by one byte: the C library's fast compare does it.
    return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page_size - 1) == 0;
}

std::uint16_t stored_checksum(Page page) noexcept {
    return read_at<std::uint16_t>(page, checksum_offset);
}

std::optional<std::uint32_t> first_block_of(std::string_view path) noexcept {
    std::uint64_t relation = 0, segment = 0;
    if (!take_directory(path) || !take_number(path, relation)) return std::nullopt;
    for (const std::string_view fork : {"_fsm", "_vm", "_init"}) {
        if (take(path, fork)) break;
    }
    if (take(path, ".") && !take_number(path, segment)) return std::nullopt;
    if (!path.empty() || segment > 0xFFFFFFFF / blocks_per_segment) return std::nullopt;
    return static_cast<std::uint32_t>(segment) * blocks_per_segment;
}

void PageChecker::add(ByteSpan data) {
    if (piece_size_ > 0) {
        const std::size_t taken = std::min(page_size - piece_size_, data.size());
        std::memcpy(piece_.data() + piece_size_, data.data(), taken);
        piece_size_ += taken;
        data = data.subspan(taken);
        if (piece_size_ < page_size) return;
        check(Page(piece_));
        piece_size_ = 0;
    }
    while (data.size() >= page_size) {
        check(data.first<page_size>());
        data = data.subspan(page_size);
    }
    if (!data.empty()) std::memcpy(piece_.data(), data.data(), data.size());
    piece_size_ = data.size();
}

void PageChecker::add_page(std::uint32_t block_of_file, Page page) {
    block_ = first_block_ + block_of_file;
    check(page);
}

void PageChecker::check(Page page) {
    const std::uint32_t block = block_++;
    ++checked_;
    // As long as the page is whole it does not matter when it was written.
    if (page_is_sound(page, block)) return;
    const Lsn lsn = page_lsn(page);
    (lsn >= begin_ ? newer_ : suspects_).push_back({block, lsn});
}

}  // namespace coffer::image
