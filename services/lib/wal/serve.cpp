#include "lib/wal/serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/wal/behind_writer.h"
#include "lib/wal/holdings.h"
#include "lib/wal/proof.h"
#include "lib/wal/segment_check.h"
#include "lib/wal/timeline_history.h"

namespace coffer::wal {
namespace {

constexpr std::size_t front_size = 64;  // holds a long page header
constexpr std::uint64_t largest_history = 1ULL << 20;

constexpr const char* damage_remedy = "restore the file from a copy; recovery cannot go past it";

// Passes the plain bytes on, and knows at the end whether they were a whole segment, and a sound one.
class SegmentSink {
  public:
    SegmentSink(const HeldFile& file, const ServeOptions& options, Sink next)
        : file_(file), options_(options), next_(std::move(next)) {}

    void take(ByteSpan bytes) {
        total_ += bytes.size();
        if (is_segment_) look(bytes);
        next_(bytes);
    }

    void end() {
        if (!is_segment_) return;
        if (is_partial(file_.place)) {
            const auto front = ByteSpan(front_).first(front_filled_);
            // Nothing at all has come yet, or it is what it says.
            if (std::any_of(front.begin(), front.end(), [](std::byte byte) { return byte != std::byte{0}; }))
                identify();
            const auto identity = identify_segment(front);
            return pad_to(identity ? identity->size.bytes() : SegmentSize().bytes());
        }
        if (!expected_) refuse("it does not begin as a segment does");
        if (proof_) {
            if (*proof_ != Proof{crc_, total_}) refuse("its content is not what was archived");
            return;
        }
        const SegmentCheck check = checker_->result();
        if (check.damage) refuse(check.damage->what + " at " + check.damage->at.to_string());
    }

  private:
    // The first bytes say what it is; then it is held against what the archiver found, or checked here.
    void look(ByteSpan bytes) {
        if (proof_) crc_ = crc32c(bytes, crc_);
        const std::size_t wanted = std::min(bytes.size(), front_size - front_filled_);
        if (wanted > 0) std::memcpy(front_.data() + front_filled_, bytes.data(), wanted);
        front_filled_ += wanted;
        if (is_partial(file_.place)) return;
        if (!expected_ && front_filled_ == front_size) {
            identify();
            if (!proof_) checker_.emplace(*expected_, false).add(ByteSpan(front_));
            bytes = bytes.subspan(wanted);
        }
        if (checker_) checker_->add(bytes);
    }

    void identify() {
        const auto identity = identify_segment(ByteSpan(front_).first(front_filled_));
        if (!identity) refuse("it does not begin as a segment does");
        const auto segment = Segment::parse(file_.name, identity->size);
        if (!segment || segment->begin(identity->size) != identity->address) refuse("it is another segment");
        expected_.emplace();
        expected_->segment = *segment;
        expected_->size = identity->size;
        expected_->system_identifier = options_.system_identifier;
        if (options_.system_identifier && *options_.system_identifier != identity->system_identifier) {
            refuse(fmt::format("it is of system {}", identity->system_identifier));
        }
    }

    [[noreturn]] void refuse(const std::string& fault) const {
        throw Error(ErrorCode::corrupt, "wal segment is damaged: " + fault, file_.path.string(), damage_remedy);
    }

    void pad_to(std::uint64_t size) {
        const std::vector<std::byte> zeros(64 * 1024);
        while (total_ < size) {
            const auto part = std::min<std::uint64_t>(zeros.size(), size - total_);
            next_(ByteSpan(zeros).first(static_cast<std::size_t>(part)));
            total_ += part;
        }
    }

    const HeldFile& file_;
    const ServeOptions& options_;
    Sink next_;
    const bool is_segment_ = kind_of(file_.name) == FileKind::segment;
    const std::optional<Proof> proof_ = is_segment_ ? kept_proof(file_.path) : std::nullopt;
    std::optional<Expected> expected_;
    std::optional<SegmentChecker> checker_;  // where there is no proof
    std::uint32_t crc_ = 0;
    std::array<std::byte, front_size> front_{};
    std::size_t front_filled_ = 0;
    std::uint64_t total_ = 0;
};

void copy_stored(const Path& path, const Sink& sink) {
    const UniqueFd fd = files().open(path, O_RDONLY);
    std::vector<std::byte> buffer(256 * 1024);
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        if (got == 0) return;
        sink(ByteSpan(buffer).first(static_cast<std::size_t>(got)));
    }
}

bool stored_plain(const Path& path) {
    const UniqueFd fd = files().open(path, O_RDONLY);
    std::array<std::byte, front_size> front{};
    const ssize_t got = ::read(fd.get(), front.data(), front.size());
    if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
    return detect_codec(ByteSpan(front).first(static_cast<std::size_t>(got))) == Codec::none;
}

// written is what went to fd so far, for then there is no second attempt.
void serve_file(const HeldFile& file, const ServeOptions& options, int fd, const Path& destination,
                std::uint64_t& written) {
    const Sink write = [&](ByteSpan bytes) {
        written += bytes.size();
        files().append(fd, bytes, destination);
    };
    // An unfinished one has its full size only when it is unpacked.
    if (options.keep_compression && !is_partial(file.place) && !stored_plain(file.path)) {
        SegmentSink segment(file, options, [](ByteSpan) {});
        decompress_file(file.path, [&](ByteSpan bytes) { segment.take(bytes); });
        segment.end();
        return copy_stored(file.path, write);
    }
    if (options.compress_with == Codec::none && stored_plain(file.path)) {
        SegmentSink segment(file, options, write);
        decompress_file(file.path, [&](ByteSpan bytes) { segment.take(bytes); });
        return segment.end();
    }
    if (options.compress_with == Codec::none) {
        BehindWriter writer(fd, destination);
        SegmentSink segment(file, options, [&](ByteSpan bytes) {
            written += bytes.size();
            writer.write(bytes);
        });
        decompress_file(file.path, [&](ByteSpan bytes) { segment.take(bytes); });
        segment.end();
        return writer.finish();
    }
    std::string plain;
    SegmentSink segment(file, options, [&](ByteSpan bytes) {
        plain.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    decompress_file(file.path, [&](ByteSpan bytes) { segment.take(bytes); });
    segment.end();
    written += plain.size();
    compress_to(fd, as_byte_span(plain), options.compress_with, level_of(options.compress_with, "medium"), destination);
}

// Removes what was begun unless it became the file.
class Begun {
  public:
    explicit Begun(Path path) : path_(std::move(path)) {}
    ~Begun() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    Begun(const Begun&) = delete;
    Begun& operator=(const Begun&) = delete;
    void done() noexcept { path_.clear(); }

  private:
    Path path_;
};

// The size of the segments, from the file itself.
std::optional<SegmentSize> size_by_content(const Path& path) {
    struct Enough {};
    std::array<std::byte, front_size> front{};
    std::size_t filled = 0;
    try {
        decompress_file(path, [&](ByteSpan bytes) {
            const std::size_t wanted = std::min(bytes.size(), front.size() - filled);
            std::memcpy(front.data() + filled, bytes.data(), wanted);
            filled += wanted;
            if (filled == front.size()) throw Enough();
        });
    } catch (const Enough&) {
    }
    const auto identity = identify_segment(ByteSpan(front).first(filled));
    return identity ? std::optional(identity->size) : std::nullopt;
}

// A file that cannot be read says nothing of the others.
std::optional<SegmentSize> size_of_some(const Path& file) {
    try {
        return size_by_content(file);
    } catch (const Error&) {
        return std::nullopt;
    }
}

// All segments of one server are of one size, which none of them tells by its name.
std::optional<Holdings> scan_all(const config::Server& server) {
    for (const std::uint64_t guess : {std::uint64_t{16} << 20, std::uint64_t{1} << 20}) {
        const SegmentSize guessed = *SegmentSize::from_bytes(guess);
        Holdings holdings = Holdings::scan(server, guessed);
        for (const auto& [segment, file] : holdings.segments()) {
            const auto size = size_of_some(file.path);
            if (!size) continue;
            if (*size == guessed) return holdings;
            return Holdings::scan(server, *size);
        }
    }
    return std::nullopt;
}

// Had this timeline begun where the segment is? Without its history, when an earlier one of it is held.
bool is_of_its_timeline(const Holdings& holdings, const Segment& segment) {
    if (segment.timeline == 1) return true;
    const auto file = holdings.histories().find(segment.timeline);
    if (file == holdings.histories().end()) {
        const auto earliest = holdings.segments().lower_bound({segment.timeline, 0});
        return earliest != holdings.segments().end() && earliest->first < segment;
    }
    const std::string text = decompress_file(file->second.path, largest_history);
    const auto history = TimelineHistory::parse(text, segment.timeline, file->second.path.string());
    return !history.ancestors.empty() && segment.end(holdings.segment_size()) > history.ancestors.back().at;
}

}  // namespace

bool serve_to(const config::Server& server, const std::string& name, const ServeOptions& options, int fd,
              const Path& destination) {
    for (int attempt = 0;; ++attempt) {
        const auto file = find_now(server, name, options.allow_partial);
        if (!file) return false;
        std::uint64_t written = 0;
        try {
            serve_file(*file, options, fd, destination, written);
            return true;
        } catch (const Error&) {
            std::error_code ignored;
            const bool moved = !std::filesystem::exists(file->path, ignored);
            if (!moved || written > 0 || attempt == 2) throw;
        }
    }
}

bool serve_to_file(const config::Server& server, const std::string& name, const ServeOptions& options,
                   const Path& destination) {
    if (!find_now(server, name, options.allow_partial)) return false;
    const Path temporary =
        destination.parent_path() / ("." + destination.filename().string() + "." + std::to_string(::getpid()) + ".tmp");
    ::unlink(temporary.c_str());
    const UniqueFd fd = files().open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    Begun begun(temporary);
    if (!serve_to(server, name, options, fd.get(), temporary)) return false;
    files().rename(temporary, destination);
    begun.done();
    return true;
}

std::optional<std::string> held_behind(const config::Server& server, const std::string& name, bool allow_partial) {
    const auto holdings = scan_all(server);
    if (!holdings) return std::nullopt;
    const SegmentSize size = holdings->segment_size();
    const auto wanted = Segment::parse(name, size);
    if (!wanted || !is_of_its_timeline(*holdings, *wanted)) return std::nullopt;
    const auto& held = holdings->segments();
    const auto behind = std::find_if(held.upper_bound(*wanted), held.end(),
                                     [&](const auto& one) { return allow_partial || !is_partial(one.second.place); });
    if (behind == held.end() || behind->first.timeline != wanted->timeline) return std::nullopt;
    return behind->first.name(size);
}

std::vector<std::string> names_held_from(const config::Server& server, const std::string& name, std::size_t count,
                                         bool allow_partial) {
    std::vector<std::string> names;
    const auto first = find_now(server, name, allow_partial);
    if (!first || count == 0) return names;
    names.push_back(name);
    const auto size = size_by_content(first->path).value_or(SegmentSize());
    auto segment = Segment::parse(name, size);
    while (segment && names.size() < count) {
        segment = segment->next();
        const std::string next = segment->name(size);
        if (!find_now(server, next, allow_partial)) break;
        names.push_back(next);
    }
    return names;
}

}  // namespace coffer::wal
