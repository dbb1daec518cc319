#pragma once
// One WAL segment while it is being received: SEG.partial, of its full size from the start, then SEG.
//
// Steps that power may fail between, in this order: the name is durable before the first byte counts; bytes are durable
// when sync_data() has returned; complete() syncs, renames, and syncs the directory, and only then does SEG exist for
// others. A file with the final name is therefore always whole.
//
// Owned by one receiver thread. Errors: no_space (what was written keeps its place, the call can be repeated), io.
// After an error of a sync nothing that was not durable before may be trusted: the kernel may have dropped it and yet
// show it, and the next sync would succeed. So it is cut off, that nobody takes it for received, now or after a
// restart. What the file held when it was opened stays: it was durable then, may have been acknowledged, and what is
// received again over it is the same.
#include <functional>
#include <optional>

#include "lib/base/files.h"
#include "lib/wal/segment_name.h"
#include "streamer/durable_lsn.h"
#include "streamer/preallocator.h"

namespace coffer::streamer {

class SegmentFile {
  public:
    // Opens SEG.partial in directory, or makes it. position is where writing goes on, within the segment.
    SegmentFile(const Path& directory, wal::Segment segment, wal::SegmentSize size, Lsn position,
                Preallocator* preallocator);
    SegmentFile(SegmentFile&&) noexcept = default;
    // What is written over what the file held before must be the same from now on, else write() throws server_mismatch
    // and changes nothing.
    void compare_with_found() noexcept { comparing_ = true; }

    [[nodiscard]] const wal::Segment& segment() const noexcept { return segment_; }
    [[nodiscard]] Lsn written() const noexcept { return written_; }
    [[nodiscard]] bool full() const noexcept { return written_ == segment_.end(size_); }
    [[nodiscard]] std::uint64_t room() const noexcept { return segment_.end(size_).value - written_.value; }

    // At most room() bytes, behind what is written.
    void write(ByteSpan data);
    // Everything written is on disk when this returns.
    DurableLsn sync_data();
    // Gives the full segment its final name; returns when that is durable.
    void complete();
    // Up to here what was written is durable; what lies behind it is not to be trusted when a sync fails.
    [[nodiscard]] Lsn synced() const noexcept { return synced_; }

    // Makes a file that was found on disk, and its name, durable; end is where its valid content ends.
    static DurableLsn sync_found(const Path& path, Lsn end);
    // The same when the end is found from the content, read only after the sync (callback gets the open descriptor).
    static DurableLsn sync_found(const Path& path, const std::function<Lsn(int fd)>& end_of_content);

    // Gives a found SEG.partial, which sync_found() proved to be full, its final name.
    static void complete_found(const Path& directory, const wal::Segment& segment, wal::SegmentSize size);

    static Path partial_path(const Path& directory, const wal::Segment& segment, wal::SegmentSize size);

  private:
    void create(Preallocator* preallocator);
    void compare(ByteSpan data) const;

    Path directory_;
    Path path_;
    wal::Segment segment_;
    wal::SegmentSize size_;
    Lsn written_;
    Lsn synced_;
    Lsn found_;  // where the content ended that was there already
    bool comparing_ = false;
    bool dirty_ = false;
    UniqueFd fd_;
};

}  // namespace coffer::streamer
