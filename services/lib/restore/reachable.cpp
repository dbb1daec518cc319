#include "lib/restore/reachable.h"

#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "lib/base/error.h"

namespace coffer::restore {
namespace {

std::vector<gid_t> groups_of(const Owner& owner) {
    std::vector<gid_t> groups{owner.group};
    const passwd* const user = ::getpwuid(owner.user);
    if (user == nullptr) return groups;
    const std::string name = user->pw_name;
    int count = 64;
    groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(name.c_str(), owner.group, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(count));
        (void)::getgrouplist(name.c_str(), owner.group, groups.data(), &count);
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

// In the child: nothing that takes a lock.
[[noreturn]] void ask(const Owner& owner, const std::vector<gid_t>& groups, const std::vector<Needed>& needed) {
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(owner.group) != 0 || ::setuid(owner.user) != 0) {
        ::_exit(255);
    }
    int number = 1;
    for (const Needed& one : needed) {
        if (::access(one.path.c_str(), one.mode) != 0) ::_exit(number);
        ++number;
    }
    ::_exit(0);
}

}  // namespace

std::optional<Path> out_of_reach(const Owner& owner, const std::vector<Needed>& needed) {
    const std::vector<gid_t> groups = groups_of(owner);
    const pid_t child = ::fork();
    if (child < 0) throw Error::from_errno(errno, "cannot start a process", {});
    if (child == 0) ask(owner, groups, needed);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) throw Error::from_errno(errno, "cannot wait for a process", {});
    }
    const auto number = static_cast<std::size_t>(WIFEXITED(status) ? WEXITSTATUS(status) : 255);
    if (number > needed.size()) throw Error(ErrorCode::internal, "cannot become the owner of the destination");
    return number == 0 ? std::nullopt : std::optional(needed[number - 1].path);
}

}  // namespace coffer::restore
