#include "lib/config/level_range.h"

#include <limits>

namespace coffer::config {

LevelRange level_range(Codec codec) noexcept {
    switch (codec) {
        case Codec::none:
            break;
        case Codec::gzip:
        case Codec::bzip2:
            return {1, 9};
        case Codec::xz:
            return {0, 9};
        case Codec::zstd:
            return {-22, 22};
        case Codec::lz4:
            return {0, 16};
    }
    return {std::numeric_limits<int>::min(), std::numeric_limits<int>::max()};
}

}  // namespace coffer::config
