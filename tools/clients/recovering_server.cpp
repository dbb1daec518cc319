#include "tools/clients/recovering_server.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/error.h"

namespace coffer::clients {

RecoveringServer::RecoveringServer(Path data) : data_(std::move(data)), recovers_(is_told_to_recover()) {
    constexpr std::uint64_t largest = 4096;
    try {
        const auto text = read_file(data_ / "postmaster.pid", largest);
        const long pid = text ? std::strtol(text->c_str(), nullptr, 10) : 0;
        if (pid > 1) process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    } catch (const Error&) {  // then the time without a question decides
    }
}

bool RecoveringServer::is_told_to_recover() const {
    return ::access((data_ / "recovery.signal").c_str(), F_OK) == 0 ||
           ::access((data_ / "standby.signal").c_str(), F_OK) == 0;
}

bool RecoveringServer::has_left_recovery() const {
    return recovers_ && !is_told_to_recover();
}

}  // namespace coffer::clients
