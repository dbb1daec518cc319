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

// Turns every backup of the server that waits in vain no longer into DONE, except those whose worker is still there; or
// into FAILED, where the WAL that has come is another's (wal_proof.h). Returns the IDs of those that are DONE. For the
// archiver: at its start, and when a segment was archived. Cheap when nothing waits.
std::vector<std::string> finish_waiting(const config::Server& server);

}  // namespace coffer::catalogue
