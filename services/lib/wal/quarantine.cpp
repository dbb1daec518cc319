#include "lib/wal/quarantine.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <vector>

#include <fmt/chrono.h>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace coffer::wal {
namespace {

bool same_file_system(const Path& a, const Path& b) {
    struct stat first {};
    struct stat second {};
    return ::lstat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev;
}

void copy_durably(const Path& from, const Path& to) {
    const Path temporary = to.parent_path() / ("." + to.filename().string() + ".tmp");
    const UniqueFd in = files().open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
        const UniqueFd out = files().open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
        std::vector<std::byte> piece(1 << 20);
        for (;;) {
            const ssize_t got = ::read(in.get(), piece.data(), piece.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw Error::from_errno(errno, "cannot read file", from.string());
            if (got == 0) break;
            files().append(out.get(), ByteSpan(piece).first(static_cast<std::size_t>(got)), temporary);
        }
        files().sync(out.get(), temporary);
        files().rename(temporary, to);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    files().sync_directory(to.parent_path());
}

void move_durably(const Path& from, const Path& to) {
    if (same_file_system(from, to.parent_path())) {
        files().rename(from, to);
        files().sync_directory(to.parent_path());
        return;
    }
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(from))) {
        throw Error(ErrorCode::corrupt, "is no regular file and cannot be moved away", from.string(),
                    "remove it by hand");
    }
    copy_durably(from, to);
    files().unlink(from);
}

Path free_name(const config::Server& server, const std::string& name, QuarantineKind kind, const Clock& clock) {
    const char* const suffix = kind == QuarantineKind::duplicate ? "duplicate"
                               : kind == QuarantineKind::damaged ? "damaged"
                                                                 : "unknown";
    const auto seconds = std::chrono::floor<std::chrono::seconds>(clock.now());
    const std::string stem = fmt::format("{}.{:%Y%m%dT%H%M%S}Z", name, seconds);
    Path target = server.errors_directory / fmt::format("{}.{}", stem, suffix);
    for (int n = 1; std::filesystem::exists(std::filesystem::symlink_status(target)); ++n) {
        target = server.errors_directory / fmt::format("{}.{}.{}", stem, n, suffix);
    }
    return target;
}

// For people only: not being able to write it is no reason to stop.
void note_reason(const config::Server& server, const Path& target, const std::string& reason) noexcept {
    try {
        const Path log = server.meta_directory() / "archive-errors.log";
        const UniqueFd fd = files().open(log, O_WRONLY | O_APPEND | O_CREAT);
        std::string line = target.filename().string() + "\t" + reason;
        std::replace(line.begin(), line.end(), '\n', '?');  // a foreign name may hold anything
        files().append(fd.get(), as_byte_span(line + "\n"), log);
    } catch (const std::exception& error) {
        log_warning("cannot note why {} was set aside: {}", target.string(), error.what());
    }
}

}  // namespace

Path quarantine(const config::Server& server, const Path& source, QuarantineKind kind, const std::string& reason,
                const Clock& clock) {
    return quarantine_as(server, source, source.filename().string(), kind, reason, clock);
}

Path quarantine_as(const config::Server& server, const Path& source, const std::string& name, QuarantineKind kind,
                   const std::string& reason, const Clock& clock) {
    static std::mutex one_at_a_time;  // two workers must not find the same name free
    const std::lock_guard lock(one_at_a_time);
    make_directories_durably(server.errors_directory);
    const UniqueFd directory = files().open(server.errors_directory, O_RDONLY | O_DIRECTORY);
    while (::flock(directory.get(), LOCK_EX) != 0 && errno == EINTR) {  // nor two processes
    }
    const Path target = free_name(server, name, kind, clock);
    move_durably(source, target);
    kill_point("archiver.error.moved");
    note_reason(server, target, reason);
    return target;
}

std::uint64_t count_errors(const config::Server& server) {
    std::error_code ignored;
    std::uint64_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(server.errors_directory, ignored)) {
        if (!entry.path().filename().string().starts_with('.')) ++count;
    }
    return count;
}

}  // namespace coffer::wal
