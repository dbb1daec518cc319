#include "services/scheduler/progress_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/error.h"

namespace coffer::scheduler {
namespace {

constexpr std::size_t largest_datagram = 64 * 1024;

sockaddr_un address_of(const Path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) {
        throw Error(ErrorCode::invalid_argument, "path of the progress socket is too long", path.string(),
                    "choose a runtime directory with a shorter path");
    }
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    return address;
}

// The sender, from the credentials that the kernel adds; -1 without.
pid_t sender_of(msghdr& header) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_CREDENTIALS) continue;
        ucred credentials{};
        std::memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
        return credentials.pid;
    }
    return -1;
}

}  // namespace

ProgressSocket::ProgressSocket(EventLoop& loop, Path path, Receive receive)
    : path_(std::move(path)),
      receive_(std::move(receive)),
      fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const sockaddr_un address = address_of(path_);
    const int on = 1;
    ::unlink(path_.c_str());
    if (!fd_ || ::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(path_.c_str(), 0600) != 0) {
        throw Error::from_errno(errno, "cannot listen for the progress of jobs", path_.string());
    }
    source_ = loop.on_io(fd_.get(), EPOLLIN, [this](std::uint32_t) { drain(); });
}

ProgressSocket::~ProgressSocket() {
    ::unlink(path_.c_str());
}

void ProgressSocket::drain() {
    std::array<char, largest_datagram> buffer;
    for (;;) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
        iovec data{buffer.data(), buffer.size()};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return;  // nothing more
        receive_(sender_of(header), std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    }
}

}  // namespace coffer::scheduler
