#pragma once
// A backup out of this box as one file, and into it.
#include "services/job/request.h"

namespace coffer::job {

Command export_command();
Command import_command();

}  // namespace coffer::job
