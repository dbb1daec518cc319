#pragma once
// Writes to a file on a thread of its own, a little behind the one that makes the bytes: a recovery waits for a segment
// to be decompressed and written, and there are two cores at least. Memory is four pieces of 256 kB.
//
// One thread calls write() and finish(). What goes wrong is thrown by the next write(), or by finish(), as
// FileSystem::append() throws it; nothing is written behind it.
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/base/files.h"

namespace coffer::wal {

class BehindWriter {
  public:
    // Writes from the present position of fd; destination is for errors only.
    BehindWriter(int fd, Path destination);
    ~BehindWriter();  // without finish(): what was not written yet is dropped
    BehindWriter(const BehindWriter&) = delete;
    BehindWriter& operator=(const BehindWriter&) = delete;

    void write(ByteSpan bytes);
    // Returns when all of it is written.
    void finish();

  private:
    static constexpr std::size_t pieces = 4, piece_size = std::size_t{256} * 1024;
    void hand_over();
    void run();
    void end(bool drop) noexcept;

    const int fd_;
    const Path destination_;
    std::vector<std::vector<std::byte>> ring_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t filled_ = 0;   // handed over in all
    std::size_t written_ = 0;  // of these
    bool ending_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace coffer::wal
