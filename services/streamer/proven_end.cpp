#include "streamer/proven_end.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "lib/wal/page_walker.h"
#include "lib/wal/pages.h"

namespace coffer::streamer {
namespace {

using Stop = wal::PageWalker::Stop;

std::size_t read_at(int fd, std::span<std::byte> buffer, std::uint64_t offset, const Path& path) {
    for (;;) {
        const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) throw Error::from_errno(errno, "cannot read file", path.string());
    }
}

bool begins_with_a_rest(int fd, const Path& path) {
    std::array<std::byte, 64> front{};
    const auto header = wal::read_page_header(ByteSpan(front).first(read_at(fd, front, 0, path)));
    return header && header->has(wal::PageHeader::continues_record);
}

// False when it does not end within a record that goes on in the next.
bool walk_the_one_before(wal::PageWalker& walker, const config::Server& server, wal::Expected expected) {
    if (expected.segment.number == 0) return false;
    --expected.segment.number;
    const auto held = wal::find_now(server, expected.segment.name(expected.size), false);
    if (!held) return false;
    Lsn address = expected.segment.begin(expected.size);
    wal::Pages pages([&](ByteSpan page) {
        walker.page(page, expected, address);
        address = address + page.size();
    });
    try {
        wal::decompress_file(held->path, [&](ByteSpan bytes) { pages.add(bytes); });
    } catch (const Error&) {  // archived at this moment, or damaged: as good as not here
        return false;
    }
    return walker.stop() == Stop::none && walker.within_record() && address == expected.segment.end(expected.size);
}

}  // namespace

Lsn proven_end(const config::Server& server, const Path& partial, const wal::Expected& expected) {
    const Lsn begin = expected.segment.begin(expected.size), end = expected.segment.end(expected.size);
    const UniqueFd fd = files().open(partial, O_RDONLY);
    wal::PageWalker walker({}, {});
    if (begins_with_a_rest(fd.get(), partial) && !walk_the_one_before(walker, server, expected)) return begin;
    Lsn address = begin;
    wal::Pages pages([&](ByteSpan page) {
        if (address < end) walker.page(page, expected, address);
        address = address + page.size();
    });
    std::vector<std::byte> buffer(256 << 10);
    for (std::uint64_t offset = 0; walker.stop() == Stop::none;) {
        const std::size_t got = read_at(fd.get(), buffer, offset, partial);
        if (got == 0) break;
        pages.add(ByteSpan(buffer).first(got));
        offset += got;
    }
    if (walker.stop() == Stop::none) pages.flush();
    if (walker.stop() == Stop::none && walker.in_padding() && address >= end) return end;
    return std::clamp(walker.valid_end(), begin, end);
}

}  // namespace coffer::streamer
