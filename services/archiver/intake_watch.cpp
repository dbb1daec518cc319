#include "services/archiver/intake_watch.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <vector>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace coffer::archiver {
namespace {

constexpr std::chrono::seconds make_after{1};
constexpr std::chrono::seconds look_again{10};

struct stat status_of(const Path& directory) noexcept {
    struct stat status {};
    (void)::stat(directory.c_str(), &status);
    return status;
}

}  // namespace

IntakeWatch::IntakeWatch(EventLoop& loop, std::string server_name, Listener listener)
    : loop_(loop),
      server_name_(std::move(server_name)),
      listener_(std::move(listener)),
      mountinfo_(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)) {}

void IntakeWatch::watch(const Path& directory) {
    // Descriptors that only tell of changes: EPOLLERR and EPOLLPRI, once for each (proc_pid_mountinfo(5)).
    if (mountinfo_ && !mounts_) {
        mounts_ = loop_.on_io(mountinfo_.get(), EPOLLPRI | EPOLLERR, [this](std::uint32_t) { mounts_changed(); });
    }
    const struct stat before = status_of(directory);
    EventSource changes =
        loop_.on_file_change(directory, IN_MOVED_TO | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_ONLYDIR,
                             [this, directory](const FileChange& change) { changed(directory, change); });
    watched_.insert_or_assign(directory, Watched{std::move(changes), before.st_dev, before.st_ino});
    scan(directory);
}

void IntakeWatch::stop() noexcept {
    watched_.clear();
    lost_.clear();
    mounts_.reset();
    timer_.reset();
}

void IntakeWatch::changed(const Path& directory, const FileChange& change) {
    if (change.overflow) {
        log_warning("server {}: more has changed in {} than was told; it is read anew", server_name_,
                    directory.string());
        scan(directory);
    } else if ((change.mask & (IN_IGNORED | IN_UNMOUNT | IN_MOVE_SELF)) != 0) {
        lose(directory, (change.mask & IN_UNMOUNT) != 0 ? "unmounted" : "removed or renamed");
        look_for_lost(false);
    } else if (!change.name.empty()) {
        offer(directory / change.name);
    }
    listener_.turn_over();
}

void IntakeWatch::mounts_changed() {
    std::vector<Path> others;
    for (const auto& [directory, watched] : watched_) {
        const struct stat now = status_of(directory);
        if (now.st_dev != watched.device || now.st_ino != watched.inode) others.push_back(directory);
    }
    for (const Path& directory : others) lose(directory, "mounted or unmounted");
    if (lost_.empty()) return;
    look_for_lost(false);
    listener_.turn_over();
}

void IntakeWatch::lose(const Path& directory, const char* how) {
    log_warning("server {}: {} was {}; it is watched anew", server_name_, directory.string(), how);
    lost_[directory] = false;
    watched_.erase(directory);  // a callback of its own lives until it returns
}

void IntakeWatch::look_for_lost(bool make) {
    std::erase_if(lost_, [&](const auto& lost) { return find_again(lost.first, make); });
    if (lost_.empty()) return timer_.reset();
    timer_ = loop_.on_timer(make ? look_again : make_after, [this] {
        look_for_lost(true);
        listener_.turn_over();
    });
}

// Its parent is not made: without that the volume is not there on which it belongs.
bool IntakeWatch::find_again(const Path& directory, bool make) {
    try {
        if (make && !std::filesystem::exists(directory) && std::filesystem::is_directory(directory.parent_path())) {
            make_directories_durably(directory);
        }
        watch(directory);
        log_info("server {}: {} is watched again", server_name_, directory.string());
        return true;
    } catch (const std::exception& error) {
        bool& told = lost_[directory];
        if (make && !std::exchange(told, true)) {
            log_warning("server {}: nothing can be taken from {} yet: {}", server_name_, directory.string(),
                        error.what());
        }
        return false;
    }
}

void IntakeWatch::scan(const Path& directory) {
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) offer(entry->path());
    if (error) log_error("server {}: cannot read {}: {}", server_name_, directory.string(), error.message());
}

void IntakeWatch::offer(const Path& file) const {
    std::error_code ignored;
    if (std::filesystem::symlink_status(file, ignored).type() == std::filesystem::file_type::directory) return;
    listener_.found(file);
}

}  // namespace coffer::archiver
