#pragma once
// meta/coffer-scrub.json: how far the scrub of a server is, and what WAL it found damaged.
//
// Of a million segments the times of their proofs are kept by folder of wals/: everything in it that has not changed
// since (ctime) was proven by the pass that began at that time; of a pass under way also the last name that it proved.
// So a new segment makes only itself unproven. Of images only passes under way are here, the time of their proof is in
// meta/<ID>-coffer.json. The file may be lost: then things are proven again. Versioned: one of another version counts
// as lost. One writer (the scrub's lock); readers see a whole file.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/config/config.h"

namespace coffer::scrub {

struct FolderProof {
    std::optional<WallTime> at;  // begin of the last whole pass
    std::string cursor;          // of the pass under way: the last file that was proven
    WallTime cursor_at{};        // when that one began
};

struct ImagePass {
    WallTime begun{};
    std::string cursor;  // the last file, in the order of their paths
};

struct WalDamage {
    std::string name;
    std::string what;
    WallTime found_at{};
    std::string set_aside;  // the file in errors/; empty: still in the archive
};

struct State {
    std::map<std::string, FolderProof> folders;  // below wals/; "": the histories
    std::map<std::string, ImagePass> images;     // by backup ID
    std::vector<WalDamage> wal_damage;           // not mended yet
    std::optional<WallTime> oldest_wal;          // proof (or arrival, where there is none), when the last run ended
    std::optional<WallTime> all_begun;           // of an interrupted run that was to prove everything
    WallTime saved_at{};
};

// An empty one where there is none, or none that can be used (said in the log). Throws io.
State read_state(const config::Server& server);
// Durable. Sets saved_at.
void save_state(const config::Server& server, State& state, WallTime now);

// When the file of this name, changed last at that time, was proven; nullopt: not since.
std::optional<WallTime> proof_of(const FolderProof& folder, const std::string& name, WallTime changed);

}  // namespace coffer::scrub
