#pragma once
// Waits until all WAL that a backup needs is durable on this box, woken by the kernel when files change in streaming/
// and in the archive (inotify), never by the clock alone. One thread.
#include <functional>
#include <string>

#include "lib/base/clock.h"
#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::job {

// What may bring the WAL that is missing.
struct WalPrompt {
    std::function<MonotonicTime()> ask;  // called while some is missing; returns when to be called again
    std::string remedy;                  // should it not come
};

// Throws timeout naming the WAL that is missing, canceled when stop_fd becomes readable, corrupt.
void wait_for_wal(const config::Server& server, const catalogue::BackupInfo& info, MonotonicTime deadline, int stop_fd,
                  const WalPrompt& prompt = {});

}  // namespace coffer::job
