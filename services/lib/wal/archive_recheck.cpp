// What is archived, looked at again: the scrub found something wrong with it, and the archive, its only writer, judges.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "lib/base/log.h"
#include "lib/wal/archive.h"
#include "lib/wal/proof.h"
#include "lib/wal/quarantine.h"
#include "lib/wal/xlogdb_tally.h"

namespace coffer::wal {
namespace {

std::optional<std::string> fault_of(const Path& path, const KnownSystem& known) {
    try {
        const std::string plain = decompress_file(path, largest_wal_file);
        const ByteSpan bytes = as_byte_span(plain);
        if (auto refusal = refusal_of(path.filename().string(), bytes, known)) return refusal;
        const auto proof = kept_proof(path);
        if (proof && !(proof_of(bytes) == *proof)) return "has other bytes than were archived";
        return std::nullopt;
    } catch (const Error& error) {
        // A file that is there and cannot be read is as good as damaged.
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::io) throw;
        return error.fact();
    }
}

std::optional<ino_t> inode_of(const Path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return status.st_ino;
}

}  // namespace

Recheck WalArchive::recheck(const std::string& name) {
    const Path path = path_of(name);
    for (;;) {
        const auto inode = inode_of(path);
        if (!inode) {
            if (has(name)) unlist({name});
            return {};
        }
        const auto fault = fault_of(path, known_system());
        if (!fault) {
            relist(name);
            return {Recheck::Result::sound, {}, {}};
        }
        {
            // A good one that arrives meanwhile takes the damaged one's place only when that has been moved away.
            const std::lock_guard lock(replacement_mutex_);
            if (inode_of(path) != inode) continue;
            Recheck found{Recheck::Result::set_aside, *fault, {}};
            found.moved_to = quarantine(server_, path, QuarantineKind::damaged, *fault, clock_);
            kill_point("archiver.recheck.moved");
            unlist({name});
            log_error("server {}: archived {} is damaged and was set aside as {}: it {}", server_.name, name,
                      found.moved_to.string(), *fault);
            return found;
        }
    }
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
