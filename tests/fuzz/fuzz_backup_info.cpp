#include "lib/base/error.h"
#include "lib/catalogue/backup_info.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    try {
        const auto info =
            catalogue::BackupInfo::parse({reinterpret_cast<const char*>(data), size}, "20261123T205429", "fuzz");
        // What was read can be written, and reads back the same.
        const std::string text = info.format();
        if (catalogue::BackupInfo::parse(text, "20261123T205429", "fuzz").format() != text) __builtin_trap();
        (void)info.required_segments();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) __builtin_trap();
    }
    return 0;
}
