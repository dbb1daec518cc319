// WAL of unknown origin: the check of segments and the reader of records.
//
// Random bytes never pass a CRC. So the input is read twice: as it is, and as a recipe of records that are laid out in
// pages with right headers and CRCs. A recipe is the index of a magic, then for each record: resource manager, info,
// count of zeros behind the payload in units of 64 bytes, length of the payload, payload.
#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/crc32c.h"
#include "lib/wal/record.h"
#include "lib/wal/segment_check.h"
#include "lib/wal/transactions.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr std::size_t page_bytes = 8192;
constexpr std::size_t most_pages = 16;

class Pages {
  public:
    Pages(std::uint8_t version, const Expected& expected) : expected_(expected) {
        constexpr std::uint16_t magics[] = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};
        magic_ = magics[version % std::size(magics)];
    }

    void record(std::uint8_t rmid, std::uint8_t info, const std::string& payload) {
        if (data_.size() % page_bytes == 0) header(0);
        std::string raw;
        append(raw, static_cast<std::uint32_t>(record_header_size + payload.size()));
        append(raw, std::uint32_t{731});
        append(raw, previous_);
        raw += {static_cast<char>(info), static_cast<char>(rmid), 0, 0};
        const std::uint32_t crc = crc32c(as_byte_span(raw), crc32c(as_byte_span(payload)));
        append(raw, crc);
        raw += payload;
        previous_ = position();
        for (std::size_t at = 0; at < raw.size();) {
            if (data_.size() % page_bytes == 0) header(raw.size() - at);
            const std::size_t count = std::min(raw.size() - at, page_bytes - data_.size() % page_bytes);
            data_.append(raw, at, count);
            at += count;
        }
        data_.resize(align8(data_.size()));
    }

    [[nodiscard]] const std::string& data() const { return data_; }

  private:
    template <typename Value>
    static void append(std::string& to, Value value) {
        to.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    [[nodiscard]] std::uint64_t position() const {
        return expected_.segment.begin(expected_.size).value + data_.size();
    }
    void header(std::size_t remaining) {
        const bool first = data_.empty();
        const std::uint64_t address = position();
        append(data_, magic_);
        append(data_, static_cast<std::uint16_t>((remaining > 0 ? 1 : 0) | (first ? 2 : 0)));
        append(data_, expected_.segment.timeline);
        append(data_, address);
        append(data_, static_cast<std::uint64_t>(remaining));
        if (!first) return;
        append(data_, std::uint64_t{7312});
        append(data_, static_cast<std::uint32_t>(expected_.size.bytes()));
        append(data_, static_cast<std::uint32_t>(page_bytes));
    }

    const Expected& expected_;
    std::uint16_t magic_ = 0;
    std::uint64_t previous_ = 0;
    std::string data_;
};

std::string follow(std::string_view recipe, const Expected& expected) {
    if (recipe.empty()) return {};
    const auto byte = [&recipe](std::size_t at) { return static_cast<std::uint8_t>(recipe[at]); };
    Pages pages(byte(0), expected);
    recipe.remove_prefix(1);
    while (recipe.size() >= 4 && pages.data().size() < most_pages * page_bytes) {
        const std::uint8_t rmid = byte(0);
        const std::uint8_t info = byte(1);
        const std::size_t zeros = std::size_t{byte(2)} * 64;
        const std::size_t length = std::min<std::size_t>(byte(3), recipe.size() - 4);
        pages.record(rmid, info, std::string(recipe.substr(4, length)) + std::string(zeros, '\0'));
        recipe.remove_prefix(4 + length);
    }
    // What is left cuts the end off.
    return pages.data().substr(0, pages.data().size() - std::min(pages.data().size(), recipe.size()));
}

void read(const std::string& data, const Expected& expected) {
    check_segment(as_byte_span(data), expected, false);
    check_segment(as_byte_span(data), expected, true);
    LogSource source;
    source.size = expected.size;
    source.choose = [&](std::uint64_t number) {
        return number < 8 ? std::optional(ChosenSegment{{1, number}, std::nullopt, number == 7}) : std::nullopt;
    };
    source.load = [&](const Segment&, const std::function<void(ByteSpan)>& sink) { sink(as_byte_span(data)); };
    read_events(source, expected.segment.begin(expected.size), [](const LogEvent&) { return true; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const Expected expected{{1, 5}, *SegmentSize::from_bytes(1 << 20), std::nullopt, 0};
    identify_segment(as_byte_span(text));
    read(text, expected);
    const std::string log = follow(text, expected);
    // Whatever the records say, they are whole: the walk ends where they end, or at a switch that is not the last one.
    const SegmentCheck check = check_segment(as_byte_span(log), expected, true);
    if (check.end_reason == "record: CRC is wrong") __builtin_trap();
    read(log, expected);
    return 0;
}
