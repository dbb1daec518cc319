#include "lib/base/error.h"
#include "lib/image/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    try {
        const std::string_view text(reinterpret_cast<const char*>(data), size);
        (void)image::parse_manifest(
            text, [](const image::ManifestFile&) {}, false);
        (void)image::parse_manifest(
            text, [](const image::ManifestFile&) {}, true);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) __builtin_trap();
    }
    return 0;
}
