#pragma once
// The numbers that compression_level may be, by codec. Known where the configuration is read, so that one which does
// not exist is said there, with its line, and never found only when WAL is to be archived.
#include "lib/config/config.h"

namespace coffer::config {

struct LevelRange {
    int least;
    int most;
};

// Without compression a level means nothing, so that all are good.
LevelRange level_range(Codec codec) noexcept;

}  // namespace coffer::config
