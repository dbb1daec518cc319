#pragma once
// The job "restore": makes a data directory of a backup and the WAL behind it. It shows its plan, carries it out, and
// says what to do next. Runs as whoever calls it, needs no service; refuses before the first byte what cannot work.
#include "services/job/request.h"

namespace coffer::job {

Command restore_command();

}  // namespace coffer::job
