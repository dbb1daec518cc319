// A call's side of the read-ahead: asks the resident process, and takes the file over.
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "lib/base/error.h"
#include "lib/wal/wire.h"
#include "tools/clients/read_ahead.h"
#include "tools/clients/spool.h"

namespace coffer::clients {
namespace {

// A resident process that says nothing for so long is stuck.
constexpr int answer_milliseconds = 120000;

// One line, without its end; empty when there is none.
std::string line_from(int fd) {
    std::string line;
    char buffer[wal::wire::max_line];
    while (line.size() < wal::wire::max_line) {
        pollfd input{fd, POLLIN, 0};
        const int ready = ::poll(&input, 1, answer_milliseconds);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return {};
        const ssize_t got = ::read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return {};
        line.append(buffer, static_cast<std::size_t>(got));
        if (line.ends_with('\n')) return line.substr(0, line.size() - 1);
    }
    return {};
}

// To another file system.
void copy(int from, std::uint64_t size, const Path& destination) {
    const Path temporary = temporary_beside(destination);
    try {
        ::unlink(temporary.c_str());
        const UniqueFd to = files().open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        for (std::uint64_t left = size; left > 0;) {
            const ssize_t copied = ::sendfile(to.get(), from, nullptr, left);
            if (copied < 0 && errno == EINTR) continue;
            if (copied < 0) throw Error::from_errno(errno, "cannot copy to file", temporary.string());
            if (copied == 0) throw Error(ErrorCode::corrupt, "the file became shorter", temporary.string());
            left -= static_cast<std::uint64_t>(copied);
        }
        files().rename(temporary, destination);
    } catch (const Error&) {
        ::unlink(temporary.c_str());
        throw;
    }
}

bool take(const Spool& spool, const std::string& name, const HandOver& told, const Path& destination) {
    const Path path = spool.file(name);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || hand_over_of(fd.get()) != told) return false;
    if (::rename(path.c_str(), destination.c_str()) == 0) return true;
    if (errno != EXDEV) throw Error::from_errno(errno, "cannot move the file to", destination.string());
    copy(fd.get(), told.size, destination);
    ::unlink(path.c_str());
    return true;
}

// The socket of the resident process; starts one where there is none.
UniqueFd reach(const Spool& spool, const Box& box, unsigned ahead) {
    UniqueFd there = spool.connect();
    if (there) return there;
    UniqueFd lock = spool.try_lock();
    if (!lock) return {};  // one is about to begin, or to end
    start_read_ahead(spool, box, ahead, std::move(lock), spool.listen_alone());
    return spool.connect();
}

}  // namespace

std::optional<bool> take_ahead(const Spool& spool, const Box& box, unsigned ahead, const Wanted& wanted,
                               const Path& destination) {
    const UniqueFd resident = reach(spool, box, ahead);
    if (!resident) return std::nullopt;
    wal::wire::Request request;
    request.name = wanted.name;
    request.partial = wanted.partial;
    request.whole = wanted.whole;
    const std::string question = format(request);
    if (::send(resident.get(), question.data(), question.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(question.size())) {
        return std::nullopt;
    }
    const std::string answer = line_from(resident.get());
    if (const auto told = parse_hand_over(answer)) {
        return take(spool, wanted.name, *told, destination) ? std::optional(true) : std::nullopt;
    }
    if (answer == "absent " + wanted.name) return false;
    return std::nullopt;
}

}  // namespace coffer::clients
