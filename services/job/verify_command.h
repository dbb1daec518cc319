#pragma once
// coffer-job verify SERVER BACKUP: reads all of a backup (lib/verify) and says what is damaged. Exit status 0: nothing;
// 1: something, or it could not be read. With --make-manifest it writes the manifest of a backup that has none.
#include "services/job/request.h"

namespace coffer::job {

Command verify_command();

}  // namespace coffer::job
