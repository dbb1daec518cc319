#pragma once
// Prepares the next segment's file of every server ahead of time, in one background thread for all of them.
//
// Why: fdatasync into blocks that were really written before has no metadata to commit and costs one disk write; into
// blocks that are only reserved (posix_fallocate) it costs a journal commit as well, and that is added to every commit
// of a synchronous server. So the file is filled with zeros and synced before it is needed. A receiver never waits for
// it: when it is not ready in time, the receiver reserves its file itself.
//
// Thread-safe. Failures (disk full) are not reported: the receiver meets them by itself when it needs the room.
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "lib/base/files.h"
#include "lib/wal/segment_name.h"

namespace coffer::streamer {

class Preallocator {
  public:
    Preallocator();
    ~Preallocator();  // files that nobody took are removed
    Preallocator(const Preallocator&) = delete;
    Preallocator& operator=(const Preallocator&) = delete;

    // Asks for a file of this size in directory; nothing happens when one is ready or under way.
    void prepare(const Path& directory, wal::SegmentSize size);
    // A finished file, which is the caller's now; nullopt when there is none (yet).
    std::optional<Path> take(const Path& directory, wal::SegmentSize size);
    // Waits until nothing is under way. For tests.
    void wait_idle();

  private:
    struct Order {
        wal::SegmentSize size;
        bool ready = false;
    };
    void run();
    void fill(const Path& path, wal::SegmentSize size);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<Path, Order> orders_;  // by directory
    bool working_ = false;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace coffer::streamer
