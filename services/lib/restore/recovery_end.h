#pragma once
// Where a recovery would end, found by reading the WAL as PostgreSQL will: before anything is copied.
//
// PostgreSQL (13 to 18) stops before or after the first record that fits the target, and fails at its start when this
// record lies before the end of the backup, or when WAL ends without one. Both are found here, with what can be done
// instead. A time is searched by halves over the segments, because commit times grow (a commit that is microseconds out
// of order cannot harm: the segments up to one with a later commit are there); a transaction and a restore point are
// searched one record after another.
#include <functional>
#include <optional>
#include <string>

#include "lib/catalogue/backup_info.h"
#include "lib/restore/landmarks.h"
#include "lib/restore/target.h"

namespace coffer::restore {

struct RecoveryEnd {
    std::size_t last_piece = 0;           // the last piece of the chain that recovery needs
    Lsn end;                              // where it ends; 0 when it was not necessary to know (immediate)
    std::optional<WallTime> last_commit;  // the last commit or abort before that, as far as it was looked at
    std::optional<std::uint32_t> last_xid;
    std::string warning;  // of damage behind the end, that may have cost commits
    // Where the record of that last commit or abort begins, when the target is a time, or the front of a transaction.
    std::optional<Lsn> last_transaction{};
};

struct RecoveryQuestion {
    const config::Server& server;
    const catalogue::BackupInfo& backup;
    const RestoreTarget& target;
    const WalChain& chain;
    WalIdentity identity;
    std::function<bool()> canceled;
};

// Throws wal_gap (with the first name that is missing), target_unreachable (with what can be reached), corrupt,
// canceled.
RecoveryEnd find_recovery_end(const RecoveryQuestion& question);

}  // namespace coffer::restore
