#pragma once
// Waits until all WAL that a backup needs is durable on this box, woken by the kernel when files change in streaming/
// and in the archive (inotify), never by the clock alone. One thread.
#include <chrono>

#include "lib/base/clock.h"
#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::job {

// Throws timeout naming the WAL that is missing, canceled when stop_fd becomes readable, corrupt.
void wait_for_wal(const config::Server& server, const catalogue::BackupInfo& info, MonotonicTime deadline, int stop_fd);

}  // namespace coffer::job
