// WAL of unknown origin: the check of segments and the reader of records.
#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/crc32c.h"
#include "lib/wal/little_endian.h"
#include "lib/wal/segment_check.h"
#include "lib/wal/transactions.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

// Random bytes never pass a CRC: mend those of the records that lie whole in the first page, and the page headers.
void mend(std::string& data, const Expected& expected) {
    const auto put = [&data](std::size_t at, auto value) {
        if (at + sizeof value <= data.size())
            data.replace(at, sizeof value, reinterpret_cast<char*>(&value), sizeof value);
    };
    const ByteSpan bytes = as_byte_span(data);
    for (std::size_t page = 0; page < data.size(); page += page_size) {
        put(page, std::uint16_t{0xD110});
        put(page + 4, std::uint32_t{1});
        put(page + 8, expected.segment.begin(expected.size).value + page);
    }
    put(2, std::uint16_t{2});
    put(32, std::uint32_t{1 << 20});
    put(36, std::uint32_t{8192});
    std::uint64_t previous = 0;
    for (std::size_t at = 40; at + 24 <= std::min(data.size(), page_size);) {
        const std::uint32_t length = load32(bytes, at) % 600 + 24;
        if (at + length > std::min(data.size(), page_size)) return;
        put(at, length);
        put(at + 8, previous);
        put(at + 20, crc32c(bytes.subspan(at, 20), crc32c(bytes.subspan(at + 24, length - 24))));
        previous = expected.segment.begin(expected.size).value + at;
        at += align8(length);
    }
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
    std::string text(reinterpret_cast<const char*>(data), size);
    const Expected expected{{1, 5}, *SegmentSize::from_bytes(1 << 20), std::nullopt, 0};
    identify_segment(as_byte_span(text));
    read(text, expected);
    mend(text, expected);
    read(text, expected);
    return 0;
}
