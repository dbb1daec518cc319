#include "lib/base/error.h"
#include "lib/image/increment.h"

// The first byte says in pieces of what size the rest arrives, the second whether the archive's size is believed.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    if (size < 2) return 0;
    const ByteSpan bytes = std::as_bytes(std::span(data + 2, size - 2));
    const std::size_t step = std::size_t{data[0]} * 37 + 1;
    std::uint32_t length = 0, last = 0;
    bool any = false;
    try {
        image::IncrementParser parser(
            data[1] == 0 ? bytes.size() : bytes.size() + data[1] - 1,
            [&](const image::IncrementHeader& header) { length = header.result_blocks(); },
            [&](std::uint32_t block, image::Page) {
                if (block >= length || (any && block <= last)) __builtin_trap();
                last = block;
                any = true;
            });
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            parser.append(bytes.subspan(at, std::min(step, bytes.size() - at)));
        }
        parser.finish();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) __builtin_trap();
    }
    return 0;
}
