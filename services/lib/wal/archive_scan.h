#pragma once
// What lies in a WAL archive, read from the files themselves: for an index that is made anew.
//
// Of each file its inode and first bytes are looked at, never its whole content: 200,000 files take a second or two. A
// file that goes away meanwhile is just not there. Nothing is changed on disk. Thread-safe.
#include <string>
#include <vector>

#include "lib/config/config.h"
#include "lib/wal/xlogdb.h"

namespace coffer::wal {

struct LeftOut {
    std::string path;  // relative to wals/
    std::string why;   // "is empty"
    friend bool operator==(const LeftOut&, const LeftOut&) = default;
};

struct ArchiveScan {
    std::vector<XlogLine> lines;  // in the order of their names
    std::vector<LeftOut> left_out;
};

// old: the index before. Only it tells how a file is encrypted, or compressed with what is not known here.
// Throws io, permission_denied.
ArchiveScan scan_archive(const config::Server& server, const XlogContent& old);

// One file of it, by its place. False where it has gone, or is left out.
bool scan_archived(const Path& file, const XlogLine* old, ArchiveScan& scan);

// The lines of an index whose words must be believed, since the files do not tell.
std::vector<XlogLine> believed_lines(const XlogContent& content);

}  // namespace coffer::wal
