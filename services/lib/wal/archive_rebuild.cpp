// The index of a running archive made anew: scanned without a lock, then set right by what changed meanwhile.
#include <algorithm>

#include "lib/wal/archive.h"

namespace coffer::wal {

WalArchive::Rebuilt WalArchive::rebuild_index() {
    const std::lock_guard turn(rebuild_mutex_);
    const Path path = xlogdb_path(server_);
    XlogContent old;
    {
        const std::lock_guard lock(xlogdb_mutex_);
        changed_.emplace();
        try {
            old = read_xlogdb(path);
        } catch (const Error& error) {  // an index that cannot be read is why it is made anew
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::io) throw;
        }
    }
    ArchiveScan scan;
    try {
        scan = scan_archive(server_, old);
    } catch (...) {
        const std::lock_guard lock(xlogdb_mutex_);
        changed_.reset();
        throw;
    }
    const std::lock_guard lock(xlogdb_mutex_);
    const std::set<std::string> changed = *std::exchange(changed_, std::nullopt);
    std::erase_if(scan.lines, [&](const XlogLine& line) { return changed.contains(line.name); });
    for (const std::string& name : changed) (void)scan_archived(path_of(name), nullptr, scan);
    std::sort(scan.lines.begin(), scan.lines.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    write_xlogdb(path, scan.lines);
    kill_point("archiver.rebuild.indexed");
    disordered_ = false;
    const std::lock_guard state(state_mutex_);
    index_ = {};
    for (const XlogLine& line : scan.lines) index_.add(line.name, line.size);
    return {scan.lines.size(), std::move(scan.left_out)};
}

}  // namespace coffer::wal
