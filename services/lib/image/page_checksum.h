#pragma once
// The checksum that PostgreSQL keeps in every data page, and the pages of a relation as they stream by.
//
// Format: PostgreSQL src/include/storage/checksum_impl.h and bufpage.h (13 to 18): 32 parallel FNV-1a sums over the
// page with its checksum field taken as zero, mixed with the block's number. Pages are 8 kB; a file of a relation holds
// at most 131072 of them (its number of the segment is behind the dot). Little-endian machines only, as the rest of
// Coffer. Pure functions are thread-safe; a PageChecker belongs to one thread.
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/base/files.h"
#include "lib/base/lsn.h"

namespace coffer::image {

inline constexpr std::size_t page_size = 8192;
inline constexpr std::uint32_t blocks_per_segment = 131072;
using Page = std::span<const std::byte, page_size>;

std::uint16_t page_checksum(Page page, std::uint32_t block) noexcept;
Lsn page_lsn(Page page) noexcept;
// Says of itself that it was never written to since the file was extended: has no checksum, and should be all zeros.
bool page_is_new(Page page) noexcept;
// Right checksum, or new and all zeros.
bool page_is_sound(Page page, std::uint32_t block) noexcept;
std::uint16_t stored_checksum(Page page) noexcept;

// Does this file, by its path below PGDATA, consist of pages? Then the number of its first block, else nullopt. Main,
// free space map, visibility map and init forks below base/, global/ and pg_tblspc/ do; pg_control, maps and temporary
// files do not.
std::optional<std::uint32_t> first_block_of(std::string_view path) noexcept;

// A page whose checksum is wrong.
struct SuspectPage {
    std::uint32_t block = 0;
    Lsn lsn;
};

// Checks the pages of one file, given in any pieces. A wrong page at or behind begin_lsn was written while the backup
// ran: it may be torn, and WAL has it whole, but only when its LSN is not behind the backup's end either, which is not
// known yet. A piece of a page at the end is not looked at: the file was being extended.
class PageChecker {
  public:
    PageChecker(std::uint32_t first_block, Lsn begin_lsn) noexcept
        : first_block_(first_block), block_(first_block), begin_(begin_lsn) {}
    void add(ByteSpan data);
    // The same for one page that stands elsewhere in the file; not to be mixed with add().
    void add_page(std::uint32_t block_of_file, Page page);
    [[nodiscard]] std::uint64_t checked() const noexcept { return checked_; }
    // Wrong, and older than begin_lsn; or without a checksum, as new pages are, yet not empty as they are.
    [[nodiscard]] const std::vector<SuspectPage>& suspects() const noexcept { return suspects_; }
    // Wrong, and newer.
    [[nodiscard]] const std::vector<SuspectPage>& newer() const noexcept { return newer_; }

  private:
    void check(Page page);

    std::uint32_t first_block_;
    std::uint32_t block_;
    Lsn begin_;
    std::uint64_t checked_ = 0;
    std::vector<SuspectPage> suspects_, newer_;
    std::array<std::byte, page_size> piece_;
    std::size_t piece_size_ = 0;
};

}  // namespace coffer::image
