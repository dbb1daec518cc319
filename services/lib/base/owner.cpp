#include "lib/base/owner.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/error.h"

namespace coffer {

void become_owner_of(Path directory) {
    if (::geteuid() != 0) return;
    struct stat status {};
    while (::stat(directory.c_str(), &status) != 0 && directory.has_relative_path())
        directory = directory.parent_path();
    if (status.st_uid == 0) return;
    const passwd* user = ::getpwuid(status.st_uid);
    const bool groups =
        user != nullptr ? ::initgroups(user->pw_name, status.st_gid) == 0 : ::setgroups(0, nullptr) == 0;
    if (!groups || ::setgid(status.st_gid) != 0 || ::setuid(status.st_uid) != 0)
        throw Error::from_errno(errno, "cannot become the owner of the catalogue", directory.string());
}

}  // namespace coffer
