// Compressed WAL files come from other machines: any bytes must give plain bytes or an Error.
#include <cstddef>
#include <cstdint>

#include "lib/base/error.h"
#include "lib/wal/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        (void)coffer::wal::decompress(std::as_bytes(std::span(data, size)), 4 << 20, "fuzz");
    } catch (const coffer::Error&) {
    }
    return 0;
}
