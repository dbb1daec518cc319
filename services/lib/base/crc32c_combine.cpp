#include "lib/base/crc32c_combine.h"

#include <array>

namespace coffer {
namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected: the highest bit is the coefficient of x^0
constexpr std::uint32_t one = 1U << 31;

constexpr std::uint32_t times_x(std::uint32_t a) noexcept {
    return (a & 1) != 0 ? (a >> 1) ^ polynomial : a >> 1;
}

constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) noexcept {
    std::uint32_t sum = 0;
    for (std::uint32_t bit = one; bit != 0; bit >>= 1) {
        if ((a & bit) != 0) sum ^= b;
        b = times_x(b);
    }
    return sum;
}

// x^8, x^16, x^32, … : what 1, 2, 4, … bytes multiply by.
constexpr std::array<std::uint32_t, 64> powers() noexcept {
    std::array<std::uint32_t, 64> table{};
    table[0] = one >> 8;
    for (std::size_t n = 1; n < table.size(); ++n) table[n] = product(table[n - 1], table[n - 1]);
    return table;
}
constexpr auto power_of_bytes = powers();

std::uint32_t moved(std::uint32_t remainder, std::uint64_t bytes) noexcept {
    for (std::size_t n = 0; bytes != 0; ++n, bytes >>= 1) {
        if ((bytes & 1) != 0) remainder = product(power_of_bytes[n], remainder);
    }
    return remainder;
}

}  // namespace

std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::uint64_t second_size) noexcept {
    return moved(first, second_size) ^ second;
}

std::uint32_t crc32c_of_zeros(std::uint64_t size) noexcept {
    return ~moved(~std::uint32_t{0}, size);
}

}  // namespace coffer
