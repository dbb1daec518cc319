#pragma once
// How a new backup of a server would begin, found out on its file system: what check and status say.
#include <string>

#include "lib/config/config.h"

namespace coffer::cofferctl {

// "snapshot", "reflink", "hard link", each with what it means; or why none of them.
std::string image_way(const config::Server& server);

}  // namespace coffer::cofferctl
