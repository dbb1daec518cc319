#include <algorithm>
#include <array>

#include "lib/base/error.h"
#include "lib/restore/pg_database.h"

// The first byte says which parser reads the rest, and of which version its pages are.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    if (size < 2) return 0;
    const ByteSpan bytes = std::as_bytes(std::span(data + 1, size - 1));
    try {
        if (data[0] % 2 == 0) {
            (void)restore::mapped_file(bytes, 1262, "map");
            return 0;
        }
        std::array<std::byte, image::page_size> page{};
        std::copy_n(bytes.begin(), std::min(bytes.size(), page.size()), page.begin());
        const auto fate = [](std::uint32_t xid) { return static_cast<restore::Fate>(xid % 3); };
        for (const restore::Database& database : restore::databases_on_page(page, 13 + data[0] / 2 % 6, fate, "page")) {
            if (database.oid == 0 || database.name.empty() || database.name.size() > 64) __builtin_trap();
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) __builtin_trap();
    }
    return 0;
}
