// A file that says it is an exported backup, compressed or not, and what is unpacked of it.
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/transfer/unpack.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    constexpr std::uint64_t most_bytes = 8 << 20;  // an input can unpack to far more
    char name[] = "/dev/shm/coffer-fuzz-export-XXXXXX";
    const Path directory = ::mkdtemp(name);
    const Path into = directory / "in";
    std::filesystem::create_directory(into);
    try {
        bool given = false;
        transfer::Unpacker unpacker(
            [&]() -> ByteSpan {
                if (std::exchange(given, true)) return {};
                return std::as_bytes(std::span(data, size));
            },
            "fuzz");
        unpacker.unpack(into, [](std::uint64_t done) {
            if (done > most_bytes) throw Error(ErrorCode::canceled, "enough");
        });
    } catch (const Error&) {  // every refusal is right, a crash is not
    }
    // Nothing may come out beside the directory that it was given.
    if (std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator()) != 1)
        __builtin_trap();
    std::filesystem::remove_all(directory);
    return 0;
}
