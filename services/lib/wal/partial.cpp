#include "lib/wal/partial.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <vector>

#include "lib/base/error.h"
#include "lib/wal/holdings.h"

namespace coffer::wal {
namespace {

struct Candidate {
    Segment segment;
    bool partial = false;
    Path path;
};

bool newer(const Candidate& left, const Candidate& right) {
    // A whole file beside a partial one of the same name is the better copy.
    return std::make_tuple(left.segment, !left.partial) > std::make_tuple(right.segment, !right.partial);
}

// The newest segment in one directory of segments.
std::optional<Candidate> newest_in(const Path& directory, const DurableQuery& query, bool partials) {
    std::optional<Candidate> newest;
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    if (error == std::errc::no_such_file_or_directory) return std::nullopt;
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const FileKind kind = kind_of(name);
        if (kind != FileKind::segment && !(partials && kind == FileKind::partial)) continue;
        const auto segment = Segment::parse(std::string_view(name).substr(0, 24), query.size);
        if (!segment || (query.timeline && segment->timeline != *query.timeline)) continue;
        Candidate candidate{*segment, kind == FileKind::partial, entry->path()};
        if (!newest || newer(candidate, *newest)) newest = std::move(candidate);
    }
    if (error) throw Error::from_errno(error.value(), "cannot list directory", directory.string());
    return newest;
}

std::optional<Candidate> newest_archived(const config::Server& server, const DurableQuery& query) {
    const std::string wanted = query.timeline ? Segment{*query.timeline, 0}.name(query.size).substr(0, 8) : "";
    std::error_code error;
    std::filesystem::directory_iterator entry(server.wals_directory, error);
    if (error == std::errc::no_such_file_or_directory) return std::nullopt;
    std::vector<std::string> folders;
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        std::string name = entry->path().filename().string();
        if (name.size() == 16 && name.starts_with(wanted)) folders.push_back(std::move(name));
    }
    if (error) throw Error::from_errno(error.value(), "cannot list directory", server.wals_directory.string());
    std::sort(folders.rbegin(), folders.rend());
    for (const std::string& name : folders) {
        if (auto newest = newest_in(server.wals_directory / name, query, false)) return newest;
    }
    return std::nullopt;
}

DurableEnd whole(const Candidate& found, SegmentSize size) {
    return {found.segment, found.path, false, true, found.segment.end(size), {}};
}

}  // namespace

DurableEnd check_streamed_file(const Path& path, const Segment& segment, bool partial, const DurableQuery& query) {
    const UniqueFd fd = files().open(path, O_RDONLY);
    files().sync_data(fd.get(), path);
    SegmentChecker checker({segment, query.size, query.system_identifier, query.major_version}, true);
    std::vector<std::byte> buffer(256 << 10);
    for (std::uint64_t offset = 0; offset <= query.size.bytes();) {
        const ssize_t got = ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        if (got == 0) break;
        checker.add(ByteSpan(buffer).first(static_cast<std::size_t>(got)));
        offset += static_cast<std::uint64_t>(got);
    }
    SegmentCheck check = checker.result();
    if (check.damage) {
        throw Error(ErrorCode::corrupt, check.damage->what + " at " + check.damage->at.to_string(), path.string(),
                    "move the file away and look where it came from; the log is then received again from the server");
    }
    const Lsn end = check.complete ? segment.end(query.size) : check.valid_end;
    return {segment, path, partial, check.complete, end, std::move(check.end_reason)};
}

std::optional<DurableEnd> streamed_end(const config::Server& server, const DurableQuery& query) {
    for (int attempt = 0;; ++attempt) {
        const auto newest = newest_in(server.streaming_wals_directory, query, true);
        if (!newest) return std::nullopt;
        try {
            return check_streamed_file(newest->path, newest->segment, newest->partial, query);
        } catch (const Error&) {
            // Finished or archived between the look and the opening: look again.
            if (attempt == 3 || std::filesystem::exists(newest->path)) throw;
        }
    }
}

std::optional<DurableEnd> durable_end(const config::Server& server, const DurableQuery& query) {
    auto end = streamed_end(server, query);
    if (!end) {
        const auto archived = newest_archived(server, query);
        if (!archived) return std::nullopt;
        return whole(*archived, query.size);
    }
    // The archive may be ahead (archive_command beside streaming), or hold the whole of what is partial here.
    Segment next = end->complete ? end->segment.next() : end->segment;
    for (;; next = next.next()) {
        const Path path = archive_path(server, next.name(query.size));
        std::error_code error;
        if (!std::filesystem::is_regular_file(path, error)) return end;
        end = whole({next, false, path}, query.size);
    }
}

}  // namespace coffer::wal
