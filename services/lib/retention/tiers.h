#pragma once
// Which backups the tiers choose: of the latest days, ISO weeks, months and years (UTC) that have a backup, so many as
// the tier says, the newest backup of each. So what was chosen when its period ended stays chosen until enough newer
// periods have one. A damaged backup is chosen where it alone holds such a period; no period of sound ones is given up
// for it. Pure.
#include <map>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/config/retention_policy.h"

namespace coffer::retention {

struct TierCandidate {
    std::string backup_id;
    WallTime end_time;
    bool damaged = false;
};

// backups: oldest first. By ID the longest tier that chose it ("YEARLY").
std::map<std::string, std::string> chosen_by_tiers(const std::vector<TierCandidate>& backups,
                                                   const config::RetentionTiers& tiers);

}  // namespace coffer::retention
