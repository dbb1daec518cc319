#include "lib/image/increment.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::image {
namespace {

constexpr std::uint32_t magic = 0xd3ae1f0d;
constexpr std::size_t counts_size = 12;

Error bad_increment(std::string what) {
    return Error(ErrorCode::corrupt, "the increment of a file " + std::move(what));
}

std::uint64_t numbers_size(std::uint64_t blocks) {
    return blocks * sizeof(std::uint32_t);
}

std::uint64_t padding_behind(std::uint64_t blocks) {
    const std::uint64_t head = counts_size + numbers_size(blocks);
    return blocks == 0 ? 0 : (page_size - head % page_size) % page_size;
}

}  // namespace

std::uint32_t IncrementHeader::result_blocks() const noexcept {
    return blocks.empty() ? truncation_blocks : std::max(truncation_blocks, blocks.back() + 1);
}

IncrementParser::IncrementParser(std::uint64_t size, OnHeader on_header, OnBlock on_block)
    : size_(size), on_header_(std::move(on_header)), on_block_(std::move(on_block)) {}

std::uint32_t IncrementParser::number(std::size_t index) const noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, piece_.data() + index * sizeof value, sizeof value);
    return value;
}

void IncrementParser::append(ByteSpan bytes) {
    while (!bytes.empty()) {
        if (state_ == State::end) throw bad_increment("goes on behind its end");
        if (state_ == State::blocks && piece_.empty() && bytes.size() >= page_size) {  // whole, where it lies
            on_block_(header_.blocks[block_++], bytes.first<page_size>());
            bytes = bytes.subspan(page_size);
            if (block_ == header_.blocks.size()) state_ = State::end;
            continue;
        }
        const std::size_t take = std::min(bytes.size(), wanted_ - piece_.size());
        piece_.insert(piece_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(take));
        bytes = bytes.subspan(take);
        if (piece_.size() < wanted_) return;
        switch (state_) {
            case State::counts:
                take_counts();
                break;
            case State::numbers:
                take_numbers();
                break;
            case State::padding:
                state_ = State::blocks;
                wanted_ = page_size;
                break;
            case State::blocks:
                on_block_(header_.blocks[block_++], ByteSpan(piece_).first<page_size>());
                if (block_ == header_.blocks.size()) state_ = State::end;
                break;
            case State::end:
                break;
        }
        piece_.clear();
    }
}

void IncrementParser::take_counts() {
    if (number(0) != magic) throw bad_increment(fmt::format("begins with {:08x}, not {:08x}", number(0), magic));
    const std::uint32_t blocks = number(1);
    header_.truncation_blocks = number(2);
    if (blocks > blocks_per_segment || header_.truncation_blocks > blocks_per_segment) {
        throw bad_increment("has more blocks than a file of a relation can have");
    }
    const std::uint64_t expected =
        counts_size + numbers_size(blocks) + padding_behind(blocks) + std::uint64_t{blocks} * page_size;
    if (size_ != expected) throw bad_increment(fmt::format("has {} bytes, and says that it had {}", size_, expected));
    if (blocks == 0) {
        state_ = State::end;
        return on_header_(header_);
    }
    state_ = State::numbers;
    wanted_ = numbers_size(blocks);
}

void IncrementParser::take_numbers() {
    header_.blocks.resize(wanted_ / sizeof(std::uint32_t));
    for (std::size_t i = 0; i < header_.blocks.size(); ++i) {
        header_.blocks[i] = number(i);
        if (header_.blocks[i] >= blocks_per_segment || (i > 0 && header_.blocks[i] <= header_.blocks[i - 1])) {
            throw bad_increment("has a number of a block that cannot be");
        }
    }
    on_header_(header_);
    wanted_ = padding_behind(header_.blocks.size());
    state_ = State::padding;
    if (wanted_ == 0) {
        state_ = State::blocks;
        wanted_ = page_size;
    }
}

void IncrementParser::finish() {
    if (state_ != State::end) throw bad_increment("is cut off");
}

}  // namespace coffer::image
