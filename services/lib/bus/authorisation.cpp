#include "lib/bus/authorisation.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cstring>

#include "lib/base/error.h"
#include "lib/bus/bus.h"

namespace coffer::bus {
namespace {

constexpr char admin_group[] = "coffer-admin";
constexpr std::size_t buffer_bytes = 64 * 1024;

bool is_admin(uid_t uid) {
    std::vector<char> user_buffer(buffer_bytes);
    std::vector<char> group_buffer(buffer_bytes);
    passwd user{};
    passwd* user_found = nullptr;
    group admins{};
    group* group_found = nullptr;
    ::getpwuid_r(uid, &user, user_buffer.data(), user_buffer.size(), &user_found);
    ::getgrnam_r(admin_group, &admins, group_buffer.data(), group_buffer.size(), &group_found);
    if (user_found == nullptr || group_found == nullptr) return false;
    if (user.pw_gid == admins.gr_gid) return true;
    for (char** member = admins.gr_mem; *member != nullptr; ++member) {
        if (std::strcmp(*member, user.pw_name) == 0) return true;
    }
    return false;
}

}  // namespace

void require_acting_caller(const Message& call) {
    sd_bus_creds* raw = nullptr;
    check_bus_call(sd_bus_query_sender_creds(call.get(), SD_BUS_CREDS_EUID, &raw), "tell who is calling");
    uid_t uid = static_cast<uid_t>(-1);
    const int known = sd_bus_creds_get_euid(raw, &uid);
    sd_bus_creds_unref(raw);
    check_bus_call(known, "tell who is calling");
    if (uid == 0 || uid == ::geteuid() || is_admin(uid)) return;
    throw Error(ErrorCode::permission_denied, "user " + std::to_string(uid) + " may not call " + call.member(),
                call.path(), std::string("run this as root or as a member of group ") + admin_group);
}

}  // namespace coffer::bus
