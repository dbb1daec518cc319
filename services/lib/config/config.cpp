#include "lib/config/config.h"

namespace coffer::config {
std::string Problem::to_string() const { return file.string() + ":" + std::to_string(line) + ": " + text; }
}  // namespace coffer::config
