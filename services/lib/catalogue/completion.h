#pragma once
// Is all WAL that a backup needs durable on this box? Then a backup in WAITING_FOR_WALS becomes DONE.
//
// Durable is what lies in the archive, whole in streaming/, or, for the last segment, in the unfinished segment of
// streaming/ after it was synced and its records were checked up to the end of the backup. Reads the disk anew with
// every call.
#include <optional>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"

namespace coffer::catalogue {

// The first segment of begin_wal to end_wal that is not durable here; nullopt when all are. Throws corrupt when the
// record does not say which WAL is needed, or when the unfinished segment is not what its name says.
std::optional<std::string> first_missing_wal(const config::Server& server, const BackupInfo& info);

// WAITING_FOR_WALS, or FAILED for nothing but WAL that was given up: it may come nevertheless.
bool waits_for_wal(const BackupInfo& info);

// Turns every backup of the server that waits in vain no longer into DONE, except those whose worker is still there; or
// into FAILED, where the WAL that has come is another's (wal_proof.h). Returns the IDs of those that are DONE. For the
// archiver: at its start, and when a segment was archived. Cheap when nothing waits.
std::vector<std::string> finish_waiting(const config::Server& server);

// Looks at one backup anew, as somebody wants to know it now. One that waits becomes DONE, or FAILED where WAL that it
// needs is absent although later WAL of its timeline has come; that one is looked at again when the WAL turns up after
// all. Of one that is DONE only the answer changes: an archive that is not mounted must not condemn a backup. Throws
// refused for one that has not been copied, and as first_missing_wal() and prove_wal() do.
struct Checked {
    BackupStatus status = BackupStatus::empty;
    std::optional<std::string> missing;  // the first segment of its WAL that is not durable here
};
Checked check_backup(const config::Server& server, const std::string& backup_id);

}  // namespace coffer::catalogue
