#pragma once
// Watches the directories from which WAL is taken, and names each file that is there or appears.
//
// A directory that is removed or renamed is watched again as soon as another has taken its name; where none has after a
// second (two renames that swap it take less), it is made. A file system that is mounted over a directory, or unmounted
// from it, is noticed as well (the kernel tells of mounts, proc_pid_mountinfo(5)). Each time, and when more has changed
// than the kernel could tell, the directory is read as at the start. Directories in it are nobody's WAL (lost+found)
// and stay untold. Loop thread only.
#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "lib/event/event_loop.h"

namespace coffer::archiver {

class IntakeWatch {
  public:
    struct Listener {
        std::function<void(const Path& file)> found;
        std::function<void()> turn_over;  // after each event, when all that it brought has been named
    };
    IntakeWatch(EventLoop& loop, std::string server_name, Listener listener);

    // From now on, and what is there already. Throws when it is not there.
    void watch(const Path& directory);
    void stop() noexcept;

  private:
    struct Watched {
        EventSource changes;
        dev_t device = 0;
        ino_t inode = 0;
    };
    void changed(const Path& directory, const FileChange& change);
    void mounts_changed();
    void lose(const Path& directory, const char* how);
    void look_for_lost(bool make);
    bool find_again(const Path& directory, bool make);
    void scan(const Path& directory);
    void offer(const Path& file) const;

    EventLoop& loop_;
    std::string server_name_;
    Listener listener_;
    std::map<Path, Watched> watched_;
    std::map<Path, bool> lost_;  // true: named in the log
    UniqueFd mountinfo_;
    EventSource mounts_;
    EventSource timer_;
};

}  // namespace coffer::archiver
