#include "lib/catalogue/removal_room.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/log.h"

namespace coffer::catalogue {
namespace {

constexpr std::uint64_t room = 1 << 20;

}  // namespace

Path removal_room_path(const config::Server& server) {
    return server.meta_directory() / ".room-for-removals";
}

void keep_removal_room(const config::Server& server) noexcept {
    const Path path = removal_room_path(server);
    try {
        if (std::filesystem::exists(path)) return;
        const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT, 0640);
        files().allocate(fd.get(), room, path);
    } catch (const std::exception& error) {
        log_info("server {}: no room is kept for removals: {}", server.name, error.what());
        std::error_code failed;
        std::filesystem::remove(path, failed);
    }
}

bool give_up_removal_room(const config::Server& server) {
    const Path path = removal_room_path(server);
    // Shortened first: blocks of a file that is only unlinked may be freed some time later.
    if (::truncate(path.c_str(), 0) != 0) {
        if (errno == ENOENT) return false;
        throw Error::from_errno(errno, "cannot shorten file", path.string());
    }
    files().unlink(path);
    log_info("server {}: the disk is full; a removal uses the room that was kept for it", server.name);
    return true;
}

}  // namespace coffer::catalogue
