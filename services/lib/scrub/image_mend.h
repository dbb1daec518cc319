#pragma once
// Mends a file of an image with that of another backup of the server, which has the same path, size and checksum by
// its manifest, on bytes of its own, and proves right.
//
// Nothing is ever written in place: a new file, shared with the other backup where the file system can (reflink, else
// hard link), is proven and synced under a temporary name and takes the old one's place. A tree that is read-only is
// so again afterwards; what a crash leaves is tidied up by the next call. The caller holds the scrub's lock and a lease
// of the backup. Kill points: scrub.mend.{written,renamed}.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/catalogue/catalogue.h"
#include "lib/verify/wanted_files.h"

namespace coffer::scrub {

// The ID of the backup that it was mended with; nullopt: there is none that would do. each: called for every piece that
// is read, may throw. Throws io, no_space, permission_denied.
std::optional<std::string> mend_file(const config::Server& server, const catalogue::BackupInfo& backup,
                                     const verify::WantedFile& file, const verify::OnPiece& each);

// Removes what a crash left of mending, and makes the trees read-only again where they were.
void tidy_image(const config::Server& server, const catalogue::BackupInfo& backup);

}  // namespace coffer::scrub
