#pragma once
// "coffer-job backup": takes one base backup of one server, from the configuration to DONE.
//
// States: STARTED is durable before the first byte is asked for; WAITING_FOR_WALS after everything was verified and
// synced by one syncfs; DONE when all WAL that the backup needs is durable here. Whatever fails before WAITING_FOR_WALS
// leaves a record FAILED with the reason, and no files. A kill leaves STARTED, which the next start of the archiver or
// the next backup turns into FAILED. Kill points: job.backup.started, .copied, .verified, .synced, .recorded, .done.
#include "services/job/request.h"

namespace coffer::job {

Command backup_command();

}  // namespace coffer::job
