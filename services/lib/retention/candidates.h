#pragma once
// A server's catalogue as the retention rules see it. Reads the disk.
#include <functional>
#include <string>

#include "lib/config/config.h"
#include "lib/retention/retention.h"

namespace coffer::retention {

struct Situation {
    std::vector<Candidate> backups;  // oldest first
    Timelines timelines;
};

// Is a complete segment of this name in the archive? What is not is looked for wherever else WAL may lie. Called by
// several threads at once.
using HasWal = std::function<bool(const std::string& name)>;

// The files of the catalogue that are looked at besides the records; backups: all records, oldest first.
Situation situation_of(const config::Server& server, std::vector<catalogue::BackupInfo> backups, const HasWal& has_wal);

}  // namespace coffer::retention
