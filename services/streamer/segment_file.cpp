#include "streamer/segment_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/wal/page_header.h"
#include "streamer/diverged.h"

namespace coffer::streamer {
namespace {

// The end of the content that lies at or behind position. Each page of WAL begins with a header, so the first page
// that does not ends it.
Lsn end_of_content(int fd, const wal::Segment& segment, wal::SegmentSize size, Lsn position, const Path& path) {
    std::array<std::byte, wal::page_size> page;
    Lsn end = position;
    const Lsn first{position.value - position.value % page.size()};
    for (Lsn at = first; at < segment.end(size); at = at + page.size()) {
        const ssize_t got =
            ::pread(fd, page.data(), page.size(), static_cast<off_t>(at.value - segment.begin(size).value));
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        const auto empty = [](std::byte byte) { return byte == std::byte{0}; };
        const auto bytes = std::span(page).first(static_cast<std::size_t>(got));
        if (std::all_of(bytes.begin(), bytes.begin() + std::min<std::ptrdiff_t>(got, 4), empty)) break;
        const auto last = std::find_if_not(bytes.rbegin(), bytes.rend(), empty);
        end = std::max(end, at + static_cast<std::uint64_t>(bytes.rend() - last));
    }
    return end;
}

}  // namespace

Path SegmentFile::partial_path(const Path& directory, const wal::Segment& segment, wal::SegmentSize size) {
    return directory / (segment.name(size) + ".partial");
}

SegmentFile::SegmentFile(const Path& directory, wal::Segment segment, wal::SegmentSize size, Lsn position,
                         Preallocator* preallocator)
    : directory_(directory),
      path_(partial_path(directory, segment, size)),
      segment_(segment),
      size_(size),
      written_(position),
      synced_(position),
      found_(position) {
    if (position < segment.begin(size) || position > segment.end(size)) {
        throw Error(ErrorCode::internal, "position is outside of the segment", segment.name(size));
    }
    std::error_code ignored;
    if (std::filesystem::exists(path_, ignored)) {
        fd_ = files().open(path_, O_RDWR);
        files().allocate(fd_.get(), size.bytes(), path_);
        files().sync(fd_.get(), path_);
        found_ = end_of_content(fd_.get(), segment_, size_, position, path_);
    } else {
        create(preallocator);
    }
    files().sync_directory(directory_);
    kill_point("streamer.segment.created");
    if (preallocator != nullptr) preallocator->prepare(directory_, size);
}

void SegmentFile::create(Preallocator* preallocator) {
    if (preallocator != nullptr) {
        if (const auto prepared = preallocator->take(directory_, size_)) {
            files().rename(*prepared, path_);
            fd_ = files().open(path_, O_RDWR);
            return;
        }
    }
    fd_ = files().open(path_, O_RDWR | O_CREAT);
    try {
        files().allocate(fd_.get(), size_.bytes(), path_);
        files().sync(fd_.get(), path_);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);  // holds nothing; must not take the last room of the disk
        throw;
    }
}

void SegmentFile::write(ByteSpan data) {
    if (data.size() > room()) throw Error(ErrorCode::internal, "write behind the end of the segment", path_.string());
    if (comparing_ && written_ < found_) compare(data);
    dirty_ = true;
    files().write_at(fd_.get(), data, written_.value - segment_.begin(size_).value, path_);
    written_ = written_ + data.size();
    kill_point("streamer.segment.written");
}

void SegmentFile::compare(ByteSpan data) const {
    data = data.first(std::min<std::uint64_t>(data.size(), found_.value - written_.value));
    std::vector<std::byte> held(data.size());
    const auto offset = static_cast<off_t>(written_.value - segment_.begin(size_).value);
    const ssize_t got = ::pread(fd_.get(), held.data(), held.size(), offset);
    if (got < 0) throw Error::from_errno(errno, "cannot read file", path_.string());
    const auto differs = std::mismatch(data.begin(), data.end(), held.begin());
    if (differs.first == data.end()) return;
    const Lsn at = written_ + static_cast<std::uint64_t>(differs.first - data.begin());
    throw Error(ErrorCode::server_mismatch,
                fmt::format("the histories have diverged: WAL differs at {} from what is held here", at.to_string()),
                path_.string(), diverged_remedy);
}

DurableLsn SegmentFile::sync_data() {
    if (dirty_) {
        try {
            files().sync_data(fd_.get(), path_);
        } catch (...) {
            const Lsn end = std::max(synced_, found_);
            const auto keep = static_cast<off_t>(end.value - segment_.begin(size_).value);
            // And of its full size again: what was held may end with zeros, which a reader must find.
            if (::ftruncate(fd_.get(), keep) != 0 || ::ftruncate(fd_.get(), static_cast<off_t>(size_.bytes())) != 0)
                log_error("cannot cut off what was not synced of {}", path_.string());
            throw;
        }
    }
    dirty_ = false;
    synced_ = written_;
    kill_point("streamer.segment.synced");
    return DurableLsn(written_);
}

void SegmentFile::complete() {
    if (!full()) throw Error(ErrorCode::internal, "segment is not full yet", path_.string());
    sync_data();
    complete_found(directory_, segment_, size_);
}

void SegmentFile::complete_found(const Path& directory, const wal::Segment& segment, wal::SegmentSize size) {
    files().rename(partial_path(directory, segment, size), directory / segment.name(size));
    kill_point("streamer.segment.renamed");
    files().sync_directory(directory);
    kill_point("streamer.segment.directory_synced");
}

DurableLsn SegmentFile::sync_found(const Path& path, Lsn end) {
    return sync_found(path, [end](int) { return end; });
}

DurableLsn SegmentFile::sync_found(const Path& path, const std::function<Lsn(int fd)>& end_of_content) {
    const UniqueFd fd = files().open(path, O_RDONLY);
    files().sync(fd.get(), path);
    files().sync_directory(path.parent_path());
    return DurableLsn(end_of_content(fd.get()));
}

}  // namespace coffer::streamer
