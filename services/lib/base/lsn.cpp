#include "lib/base/lsn.h"

#include <charconv>

#include <fmt/format.h>

namespace coffer {
namespace {

std::optional<std::uint32_t> parse_half(std::string_view text) noexcept {
    std::uint32_t value = 0;
    if (text.empty() || text.size() > 8) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::string Lsn::to_string() const {
    return fmt::format("{:X}/{:X}", static_cast<std::uint32_t>(value >> 32), static_cast<std::uint32_t>(value));
}

std::optional<Lsn> Lsn::parse(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto high = parse_half(text.substr(0, slash));
    const auto low = parse_half(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{(static_cast<std::uint64_t>(*high) << 32) | *low};
}

}  // namespace coffer
