#pragma once
// How a server stands with the scrub, told without reading what it holds: from what the last runs noted. Thread-safe.
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::scrub {

// Has it trees of its own that can be held against its manifest? Barman's tar format, increments, snapshots and
// encrypted backups have not: they are neither proven nor overdue.
bool can_be_proven(const catalogue::BackupInfo& backup);

struct Standing {
    bool off = false;                 // scrub_interval
    std::optional<WallTime> oldest;   // proof of what is held, or when it came; nullopt: nothing is held
    bool overdue = false;             // that is longer ago than scrub_interval
    std::vector<std::string> damage;  // "backup 2026… base/5/1259 has not the checksum … (blocks 3, 8)"; not mended

    [[nodiscard]] bool good() const noexcept { return damage.empty() && !overdue; }
    // "oldest proof 2026-11-27 10:00:00, each within 28 days", "off", or what is wrong.
    [[nodiscard]] std::string text(std::chrono::seconds interval) const;
};

Standing standing_of(const config::Server& server, WallTime now);

}  // namespace coffer::scrub
