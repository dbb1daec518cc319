// What a sender of WAL puts on the wire: the tar, its checksums, and the first page of what it says is a segment.
#include <algorithm>
#include <string>

#include "lib/base/error.h"
#include "lib/delivery/parcel.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    if (size == 0) return 0;
    // The first byte says in how large pieces the rest arrives.
    const std::size_t piece = 1 + data[0] * std::size_t{16};
    ByteSpan rest = std::as_bytes(std::span(data + 1, size - 1));
    std::string got;
    try {
        const auto parcel = delivery::read_parcel(
            [&] {
                const ByteSpan next = rest.first(std::min(piece, rest.size()));
                rest = rest.subspan(next.size());
                return next;
            },
            [&](ByteSpan bytes) { got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
        // What is accepted is one file with a name that is no path, whole.
        if (parcel.name.empty() || parcel.name.find('/') != std::string::npos || parcel.name[0] == '.' ||
            parcel.size != got.size() || parcel.checksum.empty()) {
            __builtin_trap();
        }
        delivery::verify_parcel(parcel, as_byte_span(got));
    } catch (const Error&) {  // every refusal is right, a crash is not
    }
    return 0;
}
