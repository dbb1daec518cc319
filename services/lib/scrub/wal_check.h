#pragma once
// One file of the WAL archive, read and proven anew as lib/wal/archived_check.h says. Thread-safe.
#include <functional>
#include <optional>
#include <string>

#include "lib/base/files.h"
#include "lib/wal/archived_check.h"

namespace coffer::scrub {

// What is wrong with it ("is bad at 0/3004000: …"); nullopt: nothing, or nothing that can be told. A file without a
// kept checksum that is no segment gets one now, for the next time. A file that is not there any more is no damage.
// each: called for every piece that is read, may throw. from_disk: what the page cache has of it is not believed.
struct WalVerdict {
    std::optional<std::string> fault;
    bool gone = false;
    bool opaque = false;  // encrypted, compressed in a way that is not known, or of a version that is not
};
using OnRead = std::function<void(std::size_t bytes)>;
WalVerdict check_wal_file(const Path& path, const wal::FormKnown& form_known, bool from_disk, const OnRead& each);

}  // namespace coffer::scrub
