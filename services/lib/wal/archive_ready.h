#pragma once
// One file on its way into the archive, between compression and commit. Private to archive*.cpp.
#include "lib/wal/archive.h"

namespace coffer::wal {

struct WalArchive::Ready {
    SourceFile source;
    Path target;
    Path temporary;  // empty: the archive has these bytes already; what remains is to make sure of them
    UniqueFd fd;     // of the temporary or archived file, to sync it
    XlogLine line;
    Done done;
    StoreOutcome outcome{};

    [[nodiscard]] bool lost() const noexcept { return outcome.error.has_value(); }
    void fail(const Error& error) noexcept;
};

}  // namespace coffer::wal
