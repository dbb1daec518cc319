// An archive of Barman's tar format: any bytes must give names and content, or an Error.
#include <cstddef>
#include <cstdint>

#include "lib/base/error.h"
#include "lib/image/tar_reader.h"
#include "lib/restore/backup_chain.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coffer;
    constexpr std::uint64_t enough = 16 << 20;  // a small input can be a large archive
    ByteSpan rest = std::as_bytes(std::span(data, size));
    try {
        image::TarReader reader([&rest] { return std::exchange(rest, {}); }, image::TarReader::Form::any_compression);
        std::uint64_t taken = 0;
        while (const auto member = reader.next()) {
            (void)restore::patched_by(member->path);
            if (member->type != image::Member::Type::file) continue;
            for (ByteSpan piece = reader.data(); !piece.empty(); piece = reader.data()) taken += piece.size();
            if (taken > enough) break;
        }
    } catch (const Error&) {
    }
    return 0;
}
