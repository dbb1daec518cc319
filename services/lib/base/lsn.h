#pragma once
// A position in the write-ahead log, in bytes from its beginning (PostgreSQL's pg_lsn). 0 is "none", as in PostgreSQL.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer {

using TimelineId = std::uint32_t;

struct Lsn {
    std::uint64_t value = 0;

    constexpr auto operator<=>(const Lsn&) const = default;
    [[nodiscard]] constexpr bool valid() const noexcept { return value != 0; }
    // "0/16B3748", as PostgreSQL prints it.
    [[nodiscard]] std::string to_string() const;
    // Accepts what PostgreSQL accepts; nullopt for anything else.
    static std::optional<Lsn> parse(std::string_view text) noexcept;
};

constexpr Lsn operator+(Lsn lsn, std::uint64_t bytes) noexcept {
    return Lsn{lsn.value + bytes};
}

}  // namespace coffer
