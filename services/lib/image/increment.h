#pragma once
// INCREMENTAL.*: what an incremental base backup sends of a file instead of the file (PostgreSQL 17 and later).
//
// Format: PostgreSQL src/backend/backup/basebackup_incremental.c (GetIncrementalHeaderSize, sendFile) and
// src/bin/pg_combinebackup/reconstruct.c, version 17: in the server's byte order, four bytes each, a magic number, the
// number of blocks, the truncation block length, the numbers of the blocks in ascending order; zeros up to a whole
// block, unless there are no blocks; the blocks. The result has the earlier file's blocks below the truncation length,
// these blocks over them, and zeros in what remains between.
//
// A file of one segment, pages of 8 kB, little-endian servers. Foreign bytes: throws corrupt. One thread each.
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "lib/base/files.h"
#include "lib/image/page_checksum.h"

namespace coffer::image {

inline constexpr std::string_view increment_prefix = "INCREMENTAL.";

struct IncrementHeader {
    std::uint32_t truncation_blocks = 0;
    std::vector<std::uint32_t> blocks;
    // How many blocks the file has afterwards.
    [[nodiscard]] std::uint32_t result_blocks() const noexcept;
};

// Takes the bytes in any pieces.
class IncrementParser {
  public:
    using OnHeader = std::function<void(const IncrementHeader&)>;  // once, before the first block
    using OnBlock = std::function<void(std::uint32_t block, Page page)>;

    // size: of the whole increment, as the archive says.
    IncrementParser(std::uint64_t size, OnHeader on_header, OnBlock on_block);
    void append(ByteSpan bytes);
    // Throws when something is missing.
    void finish();

  private:
    void take_counts();
    void take_numbers();
    [[nodiscard]] std::uint32_t number(std::size_t index) const noexcept;

    const std::uint64_t size_;
    const OnHeader on_header_;
    const OnBlock on_block_;
    enum class State { counts, numbers, padding, blocks, end } state_ = State::counts;
    std::size_t wanted_ = 12;  // bytes of the piece that is being collected
    std::vector<std::byte> piece_;
    IncrementHeader header_;
    std::size_t block_ = 0;
};

}  // namespace coffer::image
