#pragma once
// One file of the WAL archive, proven anew: decompressed, every page header and every record's CRC, what its name says,
// and the checksum that the archiver kept with it. Thread-safe.
#include <functional>
#include <optional>
#include <string>

#include "lib/base/files.h"
#include "lib/wal/admission.h"

namespace coffer::scrub {

// What is wrong with it ("is bad at 0/3004000: …"); nullopt: nothing. A file without such a checksum that is no segment
// gets one now, for the next time. A file that is not there any more is no damage. each: called for every piece that
// is read, may throw. from_disk: what the page cache has of it is not believed.
struct WalVerdict {
    std::optional<std::string> fault;
    bool gone = false;
    bool opaque = false;  // encrypted, or compressed in a way that is not known: nothing can be told
};
using OnRead = std::function<void(std::size_t bytes)>;
WalVerdict check_wal_file(const Path& path, const wal::KnownSystem& known, bool from_disk, const OnRead& each);

}  // namespace coffer::scrub
