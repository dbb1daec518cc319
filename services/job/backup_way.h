#pragma once
// How the pages of a backup come: incremental (the server sends what has changed since an earlier backup) where that is
// possible, else full, and why. Whatever is chosen, the image is a whole one.
#include <optional>
#include <string>

#include "lib/catalogue/catalogue.h"
#include "services/job/server_facts.h"

namespace coffer::job {

struct WayWanted {
    bool full = false;
    std::string base;  // ID or alias of the backup to build on; empty: the newest that will do
};

struct BackupWay {
    std::string base;    // empty: full
    std::string reason;  // why it is full; for people
};

// backup: the new one's record, with the cluster's identity. Throws refused when the base that is wanted will not do,
// no_such_backup when it does not exist.
BackupWay choose_way(const config::Server& server, const catalogue::BackupInfo& backup, const ServerFacts& facts,
                     const WayWanted& wanted);

}  // namespace coffer::job
