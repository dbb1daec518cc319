#pragma once
// Root works as the user to whom the files belong that it is about to write: the services could not read root's.
#include "lib/base/files.h"

namespace coffer {

// Nothing for anybody but root, and where the directory (or, where it is not there yet, the nearest above it) is root's
// own. Throws io, permission_denied. For good, and of the whole process.
void become_owner_of(Path directory);

}  // namespace coffer
