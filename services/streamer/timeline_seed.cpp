#include "streamer/timeline_seed.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/log.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "streamer/segment_file.h"

namespace coffer::streamer {
namespace {

struct Enough {};  // ends decompress_file() early; never leaves this file

// The first bytes of the old segment; false when there are not as many.
bool copy_front(const Path& source, std::uint64_t bytes, int fd, const Path& path) {
    std::uint64_t left = bytes;
    try {
        wal::decompress_file(source, [&](ByteSpan piece) {
            piece = piece.first(std::min<std::uint64_t>(left, piece.size()));
            files().append(fd, piece, path);
            left -= piece.size();
            if (left == 0) throw Enough();
        });
    } catch (const Enough&) {
    }
    return left == 0;
}

}  // namespace

void seed_timeline(const config::Server& server, wal::SegmentSize size, TimelineId from, TimelineId to, Lsn at) {
    const auto segment = wal::Segment::containing(to, at, size);
    const std::uint64_t bytes = at.value - segment.begin(size).value;
    const std::string name = segment.name(size);
    if (bytes == 0 || wal::find_now(server, name, true)) return;
    const auto old = wal::find_now(server, wal::Segment{from, segment.number}.name(size), true);
    if (!old) return;
    const Path& directory = server.streaming_wals_directory;
    const Path temporary = directory / ("." + name + ".seed.tmp");
    try {
        const UniqueFd fd = files().open(temporary, O_RDWR | O_CREAT | O_TRUNC);
        if (!copy_front(old->path, bytes, fd.get(), temporary)) {
            ::unlink(temporary.c_str());
            return;
        }
        files().allocate(fd.get(), size.bytes(), temporary);
        files().sync(fd.get(), temporary);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    files().rename(temporary, SegmentFile::partial_path(directory, segment, size));
    files().sync_directory(directory);
    kill_point("streamer.segment.seeded");
    log_info("{}: {} begins with what timeline {} holds up to {}", server.name, name, from, at.to_string());
}

}  // namespace coffer::streamer
