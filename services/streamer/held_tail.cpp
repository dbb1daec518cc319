#include "streamer/held_tail.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "lib/wal/pages.h"
#include "lib/wal/proof.h"
#include "streamer/segment_file.h"

namespace coffer::streamer {
namespace {

bool only_padding(ByteSpan page) {
    const auto header = wal::read_page_header(page);
    const ByteSpan body = page.subspan(header ? std::min(header->size(), page.size()) : 0);
    return std::all_of(body.begin(), body.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

// Keeps the last page with something in it, and the page before.
class Window {
  public:
    explicit Window(Lsn end) : end_(end) {}

    void page(ByteSpan bytes, Lsn at) {
        if (at >= end_) return;
        bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), end_.value - at.value));
        if (!only_padding(bytes)) {
            tail_.from = previous_.empty() ? at : Lsn{at.value - previous_.size()};
            tail_.content = previous_;
            tail_.content.insert(tail_.content.end(), bytes.begin(), bytes.end());
        }
        previous_.assign(bytes.begin(), bytes.end());
        reached_ = at + bytes.size();
    }
    std::optional<HeldTail> tail(TimelineId timeline) && {
        if (tail_.content.empty() || reached_ != end_) return std::nullopt;
        tail_.timeline = timeline;
        tail_.end = end_;
        return std::move(tail_);
    }

  private:
    Lsn end_;
    Lsn reached_;
    HeldTail tail_;
    std::vector<std::byte> previous_;
};

// Where the bytes are that count as held: what is in incoming only came another way.
std::optional<Path> file_of(const config::Server& server, wal::SegmentSize size, const wal::Segment& segment) {
    const Path partial = SegmentFile::partial_path(server.streaming_wals_directory, segment, size);
    std::error_code ignored;
    const bool unfinished = std::filesystem::exists(partial, ignored);
    const auto whole = wal::find_now(server, segment.name(size), false);
    if (whole && !(unfinished && whole->place == wal::Place::incoming)) return whole->path;
    if (unfinished) return partial;
    return std::nullopt;
}

void read_into(Window& window, const Path& file, Lsn address) {
    wal::Pages pages([&](ByteSpan page) {
        window.page(page, address);
        address = address + page.size();
    });
    wal::decompress_file(file, [&](ByteSpan bytes) { pages.add(bytes); });
    pages.flush();
}

}  // namespace

std::optional<HeldTail> read_held_tail(const config::Server& server, wal::SegmentSize size, TimelineId timeline,
                                       Lsn end, Lsn not_before) {
    Window window(end);
    std::vector<Path> whole;
    // With two pages before end, and so with the segment before where end is just behind its boundary.
    const Lsn first{end.value - std::min<std::uint64_t>(end.value, wal::page_size + 1)};
    for (auto segment = wal::Segment::containing(timeline, first, size); segment.begin(size) < end;
         segment = segment.next()) {
        if (segment.begin(size) < not_before) continue;
        const auto file = file_of(server, size, segment);
        if (!file) continue;
        if (wal::kind_of(file->filename().string()) == wal::FileKind::segment) whole.push_back(*file);
        try {
            read_into(window, *file, segment.begin(size));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_supported) throw;
            log_warning("{}: what comes cannot be compared with what is held: {}", server.name, error.full_text());
            return std::nullopt;
        }
    }
    auto tail = std::move(window).tail(timeline);
    if (tail) tail->whole = std::move(whole);
    return tail;
}

std::optional<Path> damaged_file(const HeldTail& tail, wal::SegmentSize size) {
    const auto damaged = std::find_if(tail.whole.begin(), tail.whole.end(),
                                      [&](const Path& file) { return !wal::is_sound(file, size, {}); });
    if (damaged == tail.whole.end()) return std::nullopt;
    return *damaged;
}

ByteSpan TailComparison::take(ByteSpan data) {
    const std::uint64_t done = position_.value - tail_.from.value;
    const std::uint64_t left = tail_.content.size() - std::min<std::uint64_t>(done, tail_.content.size());
    const ByteSpan theirs = data.first(std::min<std::uint64_t>(left, data.size()));
    const ByteSpan ours = ByteSpan(tail_.content).subspan(tail_.content.size() - left, theirs.size());
    const auto differs = std::mismatch(theirs.begin(), theirs.end(), ours.begin()).first;
    if (differs != theirs.end()) {
        const Lsn at = position_ + static_cast<std::uint64_t>(differs - theirs.begin());
        throw Error(
            ErrorCode::server_mismatch,
            fmt::format("the histories have diverged: WAL of timeline {} differs at {} from what is held here up "
                        "to {}",
                        tail_.timeline, at.to_string(), tail_.end.to_string()),
            {}, diverged_remedy);
    }
    const ByteSpan rest = data.subspan(std::min<std::uint64_t>(data.size(), tail_.end.value - position_.value));
    position_ = position_ + (data.size() - rest.size());
    return rest;
}

}  // namespace coffer::streamer
