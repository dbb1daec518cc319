#pragma once
// What is deleted, and why: the backups of a server, what is promised of them, and the time. Pure, so that the dry run,
// the question why and the deed cannot disagree. Thread-safe.
//
// The rules are Barman's (its behaviour, 3.4 to 3.20): candidates are DONE backups, newest first.
// - REDUNDANCY n: the newest max(n, minimum_redundancy) are VALID; a kept one occupies a place.
// - RECOVERY WINDOW OF t: everything is VALID up to and including the first backup that ended before now - t. The older
//   ones are OBSOLETE, or OBSOLETE* (and stay) while there are fewer VALID ones than minimum_redundancy.
// - kept ones are KEEP:FULL or KEEP:STANDALONE and never go.
//
// Beyond them: a DONE backup that lacks WAL which it needs to become consistent, or is damaged, counts for nothing. A
// damaged one goes only where another one serves its promise: not the one that alone is of a tier's period, or opens a
// WAL window, or leads to the server's timeline. The
// backup that opens a window must be one from which every timeline can be reached that a newer backup is on, or that
// has WAL within the window; of those that REDUNDANCY keeps, at least one the timeline that WAL was last written on.
// (After a point-in-time recovery of the server, the newest backup may be of a history that was given up.) What the
// policy gives up and a tier wants stays as a standalone one (TIER:…). With a WAL window any moment can be restored
// that far back and no further: the backup that opens it stays, and older ones stay as standalone ones. Backups that
// FAILED, or still wait for WAL, go when they are older than every VALID one.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/catalogue/catalogue.h"
#include "lib/catalogue/wal_release.h"
#include "lib/retention/policy.h"
#include "lib/wal/gaps.h"
#include "lib/wal/timeline_history.h"

namespace coffer::retention {

using catalogue::Keep;

struct Candidate {
    catalogue::BackupInfo info;
    Keep keep = Keep::none;
    bool files_kept = false;   // its directory is there, even where it is FAILED
    bool wal_complete = true;  // the WAL from its begin to its end is held
    bool damaged = false;      // the scrub found it so
    bool leased = false;       // somebody reads it: all WAL behind it may be wanted

    [[nodiscard]] bool sound() const noexcept { return wal_complete && !damaged; }
};

struct Timelines {
    std::map<TimelineId, wal::TimelinePath> paths;  // of each whose history is held; 1 needs none
    std::map<TimelineId, WallTime> last_wal;        // when the newest WAL of each was written
    std::vector<wal::WalGap> gaps;                  // what never came
};

enum class Verdict { none, valid, potentially_obsolete, obsolete, keep_full, keep_standalone, tier };

enum class WalKept { none, own, all };  // own: from the backup's begin to its end

struct Judgement {
    std::string backup_id;
    Verdict verdict = Verdict::none;
    std::string tier;         // "MONTHLY"
    bool standalone = false;  // of WAL it needs what lies between its begin and its end only
    WalKept wal = WalKept::none;
    std::string why;  // a sentence for people, without a full stop

    [[nodiscard]] bool goes() const noexcept { return verdict == Verdict::obsolete; }
    [[nodiscard]] std::string status() const;  // "VALID", "OBSOLETE*", "KEEP:FULL", "TIER:MONTHLY", "-"
};

struct Decision {
    std::vector<Judgement> backups;                // in the order of the candidates
    std::optional<catalogue::WalRelease> release;  // of WAL, once those backups are gone; nullopt: none goes
    std::string opens_wal;                         // the backup from which on any moment can be restored; empty: none
    std::optional<WallTime> next_change;           // when time alone changes the answer
};

// backups: oldest first.
Decision decide(const std::vector<Candidate>& backups, const Timelines& timelines, const Policy& policy, WallTime now);

}  // namespace coffer::retention
