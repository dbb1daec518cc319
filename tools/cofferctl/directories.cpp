#include "tools/cofferctl/directories.h"

#include <unistd.h>

#include <cerrno>

#include "lib/catalogue/catalogue.h"

namespace coffer::cofferctl {

void refuse_unreadable(const config::Server& server) {
    for (const Path& path : {server.backup_directory, server.basebackups_directory, server.meta_directory(),
                             server.wals_directory, server.xlogdb_directory}) {
        if (::access(path.c_str(), R_OK | X_OK) == 0 || errno != EACCES) continue;
        throw Error(ErrorCode::permission_denied, "this user may not read a directory of server '" + server.name + "'",
                    path.string(), "run this as root or as user coffer, or become a member of group coffer");
    }
}

std::optional<Error> absent_archive(const config::Server& server) {
    std::error_code error;
    if (std::filesystem::is_directory(server.wals_directory, error)) return std::nullopt;
    if (catalogue::Catalogue(server).backups().empty()) return std::nullopt;
    return Error(ErrorCode::io, "server '" + server.name + "' has backups, but its WAL archive is not there",
                 server.wals_directory.string(),
                 "is its volume mounted, and is wals_directory right? Without this WAL backups cannot be restored");
}

}  // namespace coffer::cofferctl
