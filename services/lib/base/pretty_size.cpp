#include "lib/base/pretty_size.h"

#include <fmt/format.h>

namespace coffer {

std::string pretty_size(double bytes) {
    const double magnitude = bytes < 0 ? -bytes : bytes;
    if (magnitude < 1024) return fmt::format("{:.0f} B", bytes);
    double scaled = bytes;
    for (const char* unit : {"KiB", "MiB", "GiB", "TiB"}) {
        scaled /= 1024;
        if (scaled < 1024 && scaled > -1024) return fmt::format("{:.1f} {}", scaled, unit);
    }
    return fmt::format("{:.1f} PiB", scaled / 1024);
}

}  // namespace coffer
