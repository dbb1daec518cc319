#include "lib/wal/holdings.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/segment_check.h"

namespace coffer::wal {
namespace {

constexpr std::string_view partial_suffix = ".partial";

std::optional<std::uint64_t> size_of_file(const Path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) {
        return S_ISREG(status.st_mode) ? std::optional(static_cast<std::uint64_t>(status.st_size)) : std::nullopt;
    }
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw Error::from_errno(errno, "cannot look at file", path.string());
}

// Whoever copies straight into incoming/ shows a file before it is whole.
bool still_arriving(const Path& path, std::uint64_t size) {
    std::array<std::byte, 64> front{};
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return true;  // moved away meanwhile, or not for us
    const ssize_t got = ::read(fd.get(), front.data(), front.size());
    if (got <= 0) return true;
    const auto identity = identify_segment(ByteSpan(front).first(static_cast<std::size_t>(got)));
    return identity && size < identity->size.bytes();
}

std::optional<HeldFile> look(const Path& path, std::string_view name, Place place) {
    const auto size = size_of_file(path);
    if (!size || *size == 0) return std::nullopt;
    if (place == Place::incoming && kind_of(name) == FileKind::segment && still_arriving(path, *size)) {
        return std::nullopt;
    }
    return HeldFile{std::string(name), place, path, *size};
}

// Calls found(file name, path) for each entry; an absent directory is an empty one.
void list(const Path& directory, const std::function<void(const std::string&, const Path&)>& found) {
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    if (error == std::errc::no_such_file_or_directory) return;
    while (!error && entry != std::filesystem::directory_iterator()) {
        found(entry->path().filename().string(), entry->path());
        entry.increment(error);
    }
    if (error) throw Error::from_errno(error.value(), "cannot list directory", directory.string());
}

bool is_archive_folder(const std::string& name) {
    return name.size() == 16 && name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

// Sorts files into the two maps; of several copies the one in the better place stays.
struct Collector {
    SegmentSize size;
    std::map<Segment, HeldFile>& segments;
    std::map<TimelineId, HeldFile>& histories;

    void take(const std::string& name, const Path& path, Place whole, Place partial) {
        const FileKind kind = kind_of(name);
        if (kind == FileKind::history) {
            const auto timeline = static_cast<TimelineId>(std::stoul(name.substr(0, 8), nullptr, 16));
            keep_better(histories, timeline, look(path, name, whole));
        } else if (kind == FileKind::segment || kind == FileKind::partial) {
            const std::string plain = name.substr(0, 24);
            const auto segment = Segment::parse(plain, size);
            const Place place = kind == FileKind::segment ? whole : partial;
            if (segment) keep_better(segments, *segment, look(path, plain, place));
        }
    }

    template <typename Key>
    static void keep_better(std::map<Key, HeldFile>& files, const Key& key, std::optional<HeldFile> held) {
        if (!held) return;
        const auto at = files.find(key);
        if (at == files.end()) {
            files.emplace(key, std::move(*held));
        } else if (held->place < at->second.place) {
            at->second = std::move(*held);
        }
    }
};

}  // namespace

std::string_view name_of(Place place) noexcept {
    switch (place) {
        case Place::archive:
            return "archive";
        case Place::incoming:
            return "incoming";
        case Place::streaming:
            return "streaming";
        case Place::streaming_partial:
            return "streaming (partial)";
        case Place::archive_partial:
            return "archive (partial)";
        case Place::incoming_partial:
            return "incoming (partial)";
    }
    return "unknown";
}

bool is_partial(Place place) noexcept {
    return place == Place::streaming_partial || place == Place::archive_partial || place == Place::incoming_partial;
}

Path archive_path(const config::Server& server, std::string_view name) {
    return server.wals_directory / archive_folder_of(name) / name;
}

std::optional<HeldFile> find_now(const config::Server& server, std::string_view name, bool allow_partial) {
    const FileKind kind = kind_of(name);
    if (kind == FileKind::unknown || kind == FileKind::temporary) return std::nullopt;
    const bool asked_for_partial = kind == FileKind::partial;
    const std::string_view plain = asked_for_partial ? name.substr(0, name.size() - partial_suffix.size()) : name;
    const Path archived = archive_path(server, plain);
    if (!asked_for_partial) {
        if (auto held = look(archived, plain, Place::archive)) return held;
        if (auto held = look(server.incoming_wals_directory / plain, plain, Place::incoming)) return held;
        if (auto held = look(server.streaming_wals_directory / plain, plain, Place::streaming)) return held;
    }
    if (asked_for_partial || (allow_partial && kind == FileKind::segment)) {
        const std::string partial = std::string(plain) + std::string(partial_suffix);
        if (auto held = look(server.streaming_wals_directory / partial, plain, Place::streaming_partial)) {
            // It may have been finished between the looks: the whole file then is the better one.
            if (!asked_for_partial) {
                if (auto whole = look(server.streaming_wals_directory / plain, plain, Place::streaming)) return whole;
            }
            return held;
        }
        // Finished, or archived, since the first look? Then not an older partial copy.
        if (!asked_for_partial) {
            if (auto held = look(server.streaming_wals_directory / plain, plain, Place::streaming)) return held;
            if (auto held = look(archived, plain, Place::archive)) return held;
        }
        if (auto held = look(archive_path(server, partial), plain, Place::archive_partial)) return held;
        if (auto held = look(server.incoming_wals_directory / partial, plain, Place::incoming_partial)) return held;
    }
    return asked_for_partial ? std::nullopt : look(archived, plain, Place::archive);
}

void read_held(const config::Server& server, const HeldFile& held, const std::function<void(ByteSpan)>& sink) {
    constexpr int most_moves = 3;
    bool begun = false;
    Path path = held.path;
    for (int move = 0;; ++move) {
        try {
            return decompress_file(path, [&](ByteSpan bytes) {
                begun = true;
                sink(bytes);
            });
        } catch (const Error&) {
            std::error_code ignored;
            if (begun || move == most_moves || std::filesystem::exists(path, ignored)) throw;
        }
        const auto now = find_now(server, held.name, true);
        if (!now) throw Error(ErrorCode::no_such_wal, "the segment was removed while it was to be read", held.name);
        path = now->path;
    }
}

Holdings Holdings::scan(const config::Server& server, SegmentSize segment_size) {
    Holdings holdings;
    holdings.size_ = segment_size;
    Collector collector{segment_size, holdings.segments_, holdings.histories_};
    // streaming and incoming first: what moves to the archive during the scan is then seen twice rather than never.
    list(server.streaming_wals_directory, [&](const std::string& name, const Path& path) {
        collector.take(name, path, Place::streaming, Place::streaming_partial);
    });
    list(server.incoming_wals_directory, [&](const std::string& name, const Path& path) {
        collector.take(name, path, Place::incoming, Place::incoming_partial);
    });
    const auto archived = [&](const std::string& name, const Path& path) {
        collector.take(name, path, Place::archive, Place::archive_partial);
    };
    list(server.wals_directory, [&](const std::string& name, const Path& path) {
        if (is_archive_folder(name)) {
            list(path, archived);
        } else {
            archived(name, path);
        }
    });
    return holdings;
}

std::optional<Segment> Holdings::first_missing(Segment first, Segment last) const {
    for (Segment segment = first; segment.number <= last.number; segment = segment.next()) {
        if (!has(segment)) return segment;
    }
    return std::nullopt;
}

std::optional<Segment> Holdings::last_contiguous(Segment first) const {
    auto at = segments_.find(first);
    if (at == segments_.end()) return std::nullopt;
    Segment last = first;
    for (++at; at != segments_.end() && at->first == last.next(); ++at) last = at->first;
    return last;
}

}  // namespace coffer::wal
