// What is archived, looked at again: the scrub found something wrong with it, and the archive, its only writer, judges.
#include <sys/stat.h>

#include <algorithm>

#include "lib/base/log.h"
#include "lib/wal/archive.h"
#include "lib/wal/archived_check.h"
#include "lib/wal/quarantine.h"
#include "lib/wal/xlogdb_tally.h"

namespace coffer::wal {
namespace {

std::optional<ino_t> inode_of(const Path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return status.st_ino;
}

}  // namespace

// What cannot be read now is no damage that could be judged: descriptors, memory or a disk far away may be wanting.
Recheck WalArchive::recheck(const std::string& name) {
    const Path path = path_of(name);
    for (;;) {
        const bool listed = has(name);
        const auto inode = inode_of(path);
        if (!inode) {
            if (!listed) return {};
            unlist({name});
            continue;  // one that arrived meanwhile needs its line
        }
        const auto stored = read_file(path, largest_wal_file);
        if (!stored) continue;
        const ArchivedCheck check = check_archived(path, as_byte_span(*stored), [&] { return known_form(name); });
        if (check.result == ArchivedCheck::Result::opaque) return {Recheck::Result::opaque, check.fault, {}};
        if (check.result == ArchivedCheck::Result::sound) {
            relist(name);
            return {Recheck::Result::sound, {}, {}};
        }
        // A good one that arrives meanwhile takes the damaged one's place only when that has been moved away.
        const std::lock_guard lock(replacement_mutex_);
        if (inode_of(path) == inode) return set_aside_damaged(name, check.fault);
    }
}

// Out of the index first: the line of one that takes its place stays.
Recheck WalArchive::set_aside_damaged(const std::string& name, const std::string& fault) {
    Recheck found{Recheck::Result::set_aside, fault, {}};
    unlist({name});
    try {
        found.moved_to = quarantine(server_, path_of(name), QuarantineKind::damaged, fault, clock_);
    } catch (...) {
        relist(name);
        throw;
    }
    kill_point("archiver.recheck.moved");
    log_error("server {}: archived {} is damaged and was set aside as {}: it {}", server_.name, name,
              found.moved_to.string(), fault);
    return found;
}

bool WalArchive::known_form(const std::string& name) const {
    const XlogContent content = read_xlogdb(xlogdb_path(server_));
    return std::any_of(content.lines.begin(), content.lines.end(),
                       [&](const XlogLine& line) { return line.name == name && is_known_form(line); });
}

// Its line says what lies there.
void WalArchive::relist(const std::string& name) {
    const auto right = describe_archived(path_of(name));
    if (!right) return;
    bool listed = false, same = false;
    scan_xlogdb(xlogdb_path(server_), [&](const XlogEntry& entry) {
        if (entry.name != name) return;
        listed = true;
        same = entry.size == right->size;
    });
    if (listed && same) return;
    if (listed) unlist({name});
    list({*right});
    const std::lock_guard lock(state_mutex_);
    index_.add(name, right->size);
}

}  // namespace coffer::wal
