#pragma once
// "coffer-job scrub": proves what a server holds, longest unproven first (docs/verification.md).
#include "services/job/request.h"

namespace coffer::job {

Command scrub_command();

}  // namespace coffer::job
