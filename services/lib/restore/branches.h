#pragma once
// Commits that a recovery leaves out because they are on a branch that the servers left.
//
// When a standby takes over that had not received everything, the old primary's last commits are behind the point where
// the new timeline began. The box may hold them, acknowledged, and a recovery along the new timeline does not bring
// them back. Nobody else knows of them, so a plan tells.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/restore/landmarks.h"
#include "lib/restore/timeline_path.h"

namespace coffer::restore {

struct LeftCommit {
    TimelineId timeline = 0;
    Lsn left_at;
    Landmark first;  // the first commit behind it
};

// Of each timeline on the path that recovery leaves. Reads that timeline's WAL from where it was left up to the first
// commit. canceled may be empty. Throws canceled.
std::vector<LeftCommit> commits_left_out(const config::Server& server, const wal::Holdings& holdings,
                                         const TimelinePath& path, const WalIdentity& identity,
                                         const std::function<bool()>& canceled);

// A sentence for people.
std::string describe(const LeftCommit& left);

}  // namespace coffer::restore
