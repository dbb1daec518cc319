#include "lib/base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace coffer {
namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // bit-reversed

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
        tables[0][byte] = value;
    }
    for (std::size_t slice = 1; slice < 8; ++slice) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}

constexpr Tables tables = make_tables();

std::uint64_t load64(const std::byte* from) noexcept {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

std::uint32_t one_byte(std::uint32_t crc, std::byte byte) noexcept {
    return (crc >> 8) ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF];
}

#if defined(__x86_64__)

// What a CRC becomes when `count` zero bytes follow it is linear in its bits, so it can be looked up byte by byte: with
// it the CRCs of neighbouring blocks, computed side by side to hide the instruction's latency, are joined into one.
using ShiftTable = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr std::uint32_t multiply(std::uint32_t left, std::uint32_t right) {  // modulo the polynomial, bit-reversed
    std::uint32_t product = 0;
    for (std::uint32_t bit = 0x80000000; bit != 0; bit >>= 1) {
        if ((left & bit) != 0) product ^= right;
        right = (right >> 1) ^ ((right & 1) != 0 ? polynomial : 0);
    }
    return product;
}

constexpr ShiftTable make_shift_table(std::size_t count) {
    std::uint32_t power = 0x80000000;   // 1
    std::uint32_t square = 0x00800000;  // x^8: one zero byte
    for (; count != 0; count >>= 1) {
        if ((count & 1) != 0) power = multiply(power, square);
        square = multiply(square, square);
    }
    ShiftTable table{};
    for (std::size_t place = 0; place < 4; ++place) {
        for (std::uint32_t byte = 0; byte < 256; ++byte) table[place][byte] = multiply(byte << (8 * place), power);
    }
    return table;
}

constexpr std::size_t long_block = 2048;
constexpr std::size_t short_block = 256;
constexpr ShiftTable long_shift = make_shift_table(long_block);
constexpr ShiftTable short_shift = make_shift_table(short_block);

std::uint64_t shift(const ShiftTable& table, std::uint64_t crc) noexcept {
    return table[0][crc & 0xFF] ^ table[1][(crc >> 8) & 0xFF] ^ table[2][(crc >> 16) & 0xFF] ^ table[3][crc >> 24];
}

template <std::size_t block>
__attribute__((target("sse4.2"))) std::uint64_t three_blocks(const std::byte* at, std::uint64_t crc,
                                                             const ShiftTable& table) noexcept {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < block; i += 8) {
        crc = _mm_crc32_u64(crc, load64(at + i));
        second = _mm_crc32_u64(second, load64(at + block + i));
        third = _mm_crc32_u64(third, load64(at + 2 * block + i));
    }
    return shift(table, shift(table, crc) ^ second) ^ third;
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(ByteSpan data, std::uint32_t seed) noexcept {
    const std::byte* at = data.data();
    std::size_t left = data.size();
    std::uint64_t crc = ~seed;
    for (; left >= 3 * long_block; at += 3 * long_block, left -= 3 * long_block) {
        crc = three_blocks<long_block>(at, crc, long_shift);
    }
    for (; left >= 3 * short_block; at += 3 * short_block, left -= 3 * short_block) {
        crc = three_blocks<short_block>(at, crc, short_shift);
    }
    for (; left >= 8; at += 8, left -= 8) crc = _mm_crc32_u64(crc, load64(at));
    std::uint32_t result = static_cast<std::uint32_t>(crc);
    for (; left > 0; ++at, --left) result = _mm_crc32_u8(result, std::to_integer<unsigned char>(*at));
    return ~result;
}

#endif

using Function = std::uint32_t (*)(ByteSpan, std::uint32_t) noexcept;

Function best_function() noexcept {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) return by_instruction;
#endif
    return crc32c_by_tables;
}

}  // namespace

std::uint32_t crc32c(ByteSpan data, std::uint32_t seed) noexcept {
    static const Function function = best_function();
    return function(data, seed);
}

std::uint32_t crc32c_by_tables(ByteSpan data, std::uint32_t seed) noexcept {
    const std::byte* at = data.data();
    std::size_t left = data.size();
    std::uint32_t crc = ~seed;
    if constexpr (std::endian::native == std::endian::little) {
        for (; left >= 8; at += 8, left -= 8) {
            const std::uint64_t word = load64(at) ^ crc;
            crc = 0;
            for (unsigned place = 0; place < 8; ++place) crc ^= tables[7 - place][(word >> (8 * place)) & 0xFF];
        }
    }
    for (; left > 0; ++at, --left) crc = one_byte(crc, *at);
    return ~crc;
}

}  // namespace coffer
