#pragma once
// Takes in one WAL file that a server's archive_command sends: when put_wal() returns, it is durable here, and the
// server may forget it.
//
// The bytes go to incoming/ under a temporary name; then the checksum is verified, and the file is judged as the
// archiver would (lib/wal/admission.h), so that what it would refuse is refused while the sender still has it. fsync,
// rename, fsync of the directory. Where a file of this name is held already, in incoming/, streaming/ or the archive,
// the plain bytes decide: the same make it a success (of which the held copy is synced first), other ones go to
// errors/, once, and the sender is told. Nothing is left of what was refused or cut off; what a kill leaves goes with a
// later call.
//
// Several calls at once, for the same name too, do not disturb each other: the last step is one at a time (a lock on
// incoming/).
#include <string>

#include "lib/base/clock.h"
#include "lib/config/config.h"
#include "lib/image/tar_reader.h"

namespace coffer::delivery {

struct PutOutcome {
    enum class Result {
        stored,
        held,      // it was here already, with the same bytes
        conflict,  // another file is held under this name; what came lies in errors/
    } result = Result::stored;
    std::string name;
    Path where;  // the file that is held now; of a conflict, the other one
    Path aside;  // of a conflict: in errors/
};

// Throws refused where the server takes no WAL this way.
void require_put_allowed(const config::Server& server);

// pull: the stream (parcel.h). Throws corrupt for whatever is wrong with what was sent, no_space, io; then nothing is
// stored.
PutOutcome put_wal(const config::Server& server, image::TarReader::Pull pull, const Clock& clock);

}  // namespace coffer::delivery
