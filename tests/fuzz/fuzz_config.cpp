// Configuration files: whatever the bytes, parsing and resolving end, and no password reaches the masked text unmasked
// through a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/config/ini_file.h"
#include "lib/config/keys.h"
#include "lib/config/resolve.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coffer::config;
    const coffer::Path path = "/etc/coffer/coffer.d/fuzz.conf";
    const IniFile file = parse_ini({reinterpret_cast<const char*>(data), size}, path);
    for (const IniSection& section : file.sections) {
        (void)check_global(path, section);
        if (!fault_of_name(section.name).empty()) continue;
        (void)resolve_server({path, section, path, file.sections.front()}, "/var/lib/coffer");
    }
    return 0;
}
