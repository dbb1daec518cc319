#include "services/job/wal_wait.h"

#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/completion.h"
#include "services/job/request.h"

namespace coffer::job {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t events = IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE;
// A busy server changes its segment all the time; looking costs a sync and a checksum of the whole segment.
constexpr auto between_looks = 50ms;

class Watch {
  public:
    Watch() : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
        if (!fd_) throw Error::from_errno(errno, "cannot watch directories", {});
    }
    // May be repeated; a directory that is not there yet appears in its parent, which is watched as well.
    void add(const Path& directory) {
        if (::inotify_add_watch(fd_.get(), directory.c_str(), events | IN_ONLYDIR) < 0 && errno != ENOENT) {
            throw Error::from_errno(errno, "cannot watch directory", directory.string());
        }
    }
    // False when the deadline passed.
    bool wait(MonotonicTime deadline, int stop_fd) {
        std::array<pollfd, 2> fds{pollfd{fd_.get(), POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left <= 0ms) return false;
        const int timeout = static_cast<int>(std::min<std::chrono::milliseconds>(left, 24h).count());
        if (::poll(fds.data(), fds.size(), timeout) < 0 && errno != EINTR) {
            throw Error::from_errno(errno, "cannot wait for changes", {});
        }
        check_stop(stop_fd);
        drain();
        return true;
    }

  private:
    void drain() {
        std::array<char, 16384> buffer;
        while (::read(fd_.get(), buffer.data(), buffer.size()) > 0) {
        }
    }
    UniqueFd fd_;
};

void pause(int stop_fd) {
    pollfd stop{stop_fd, POLLIN, 0};
    (void)::poll(&stop, 1, static_cast<int>(between_looks.count()));
    check_stop(stop_fd);
}

}  // namespace

void wait_for_wal(const config::Server& server, const catalogue::BackupInfo& info, MonotonicTime deadline, int stop_fd,
                  const WalPrompt& prompt) {
    Watch watch;
    for (;;) {
        // Watched before it is looked at, so that nothing is missed in between.
        watch.add(server.streaming_wals_directory);
        watch.add(server.wals_directory);
        for (const wal::Segment& segment : info.required_segments()) {
            if (segment.number % info.xlog_segment_size.per_log() == 0 ||
                segment.name(info.xlog_segment_size) == info.begin_wal) {
                watch.add(server.wals_directory / wal::archive_folder_of(segment.name(info.xlog_segment_size)));
            }
        }
        const auto missing = catalogue::first_missing_wal(server, info);
        if (!missing) return;
        const MonotonicTime again = prompt.ask ? prompt.ask() : deadline;
        if (!watch.wait(std::min(deadline, again), stop_fd) && std::chrono::steady_clock::now() >= deadline) {
            throw Error(
                ErrorCode::timeout, fmt::format("the backup is complete, but wal {} has not arrived yet", *missing),
                info.backup_id,
                (prompt.remedy.empty() ? "see whether streaming and archiving of this server work" : prompt.remedy) +
                    "; the backup becomes DONE by itself when the wal arrives");
        }
        pause(stop_fd);
    }
}

}  // namespace coffer::job
