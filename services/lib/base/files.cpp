#include "lib/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "lib/base/error.h"

namespace coffer {
namespace {

Files& real_files() noexcept {
    static Files instance;
    return instance;
}
Files* current = nullptr;

[[noreturn]] void fail(const char* what, const Path& path) {
    throw Error::from_errno(errno, what, path.string());
}

Path parent_of(const Path& path) {
    Path parent = path.parent_path();
    return parent.empty() ? Path(".") : parent;
}

}  // namespace

UniqueFd Files::open(const Path& path, int flags, mode_t mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) fail("cannot open file", path);
    return fd;
}

void Files::write_at(int fd, ByteSpan data, std::uint64_t offset, const Path& path) {
    while (!data.empty()) {
        const ssize_t written = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail("cannot write to file", path);
        data = data.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
}

void Files::append(int fd, ByteSpan data, const Path& path) {
    while (!data.empty()) {
        const ssize_t written = ::write(fd, data.data(), data.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail("cannot write to file", path);
        data = data.subspan(static_cast<std::size_t>(written));
    }
}

void Files::allocate(int fd, std::uint64_t size, const Path& path) {
    const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
    if (error != 0) throw Error::from_errno(error, "cannot reserve space for file", path.string());
}

void Files::sync_data(int fd, const Path& path) {
    if (::fdatasync(fd) != 0) fail("cannot sync file", path);
}

void Files::sync(int fd, const Path& path) {
    if (::fsync(fd) != 0) fail("cannot sync file", path);
}

void Files::sync_file_system(int fd, const Path& path) {
    if (::syncfs(fd) != 0) fail("cannot sync file system", path);
}

void Files::sync_directory(const Path& directory) {
    const UniqueFd fd = open(directory, O_RDONLY | O_DIRECTORY);
    sync(fd.get(), directory);
}

void Files::rename(const Path& from, const Path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) fail("cannot rename file", from);
}

void Files::link(const Path& from, const Path& to) {
    if (::link(from.c_str(), to.c_str()) != 0) fail("cannot link file", to);
}

void Files::unlink(const Path& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("cannot remove file", path);
}

Files& files() noexcept {
    return current != nullptr ? *current : real_files();
}

ScopedFiles::ScopedFiles(Files& replacement) noexcept : previous_(current) {
    current = &replacement;
}
ScopedFiles::~ScopedFiles() {
    current = previous_;
}

void write_file_durably(const Path& path, std::string_view content, mode_t mode) {
    const Path temporary = parent_of(path) / ("." + path.filename().string() + ".tmp");
    try {
        const UniqueFd fd = files().open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
        files().append(fd.get(), as_byte_span(content), temporary);
        files().sync(fd.get(), temporary);
        files().rename(temporary, path);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    files().sync_directory(parent_of(path));
}

void rename_durably(const Path& from, const Path& to) {
    const UniqueFd fd = files().open(from, O_RDONLY);
    files().sync(fd.get(), from);
    files().rename(from, to);
    files().sync_directory(parent_of(to));
    if (parent_of(from) != parent_of(to)) files().sync_directory(parent_of(from));
}

void make_directories_durably(const Path& directory, mode_t mode) {
    if (std::filesystem::is_directory(directory)) return;
    const Path parent = parent_of(directory);
    if (parent != directory) make_directories_durably(parent, mode);
    if (::mkdir(directory.c_str(), mode) != 0 && errno != EEXIST) fail("cannot create directory", directory);
    files().sync_directory(parent);
}

std::optional<std::string> read_file(const Path& path, std::uint64_t limit) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT) return std::nullopt;
        fail("cannot open file", path);
    }
    std::string content;
    char buffer[65536];
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("cannot read file", path);
        if (got == 0) return content;
        content.append(buffer, static_cast<std::size_t>(got));
        if (content.size() > limit)
            throw Error(ErrorCode::corrupt, "file is far larger than it can rightly be", path.string());
    }
}

#ifdef COFFER_FAULT_INJECTION
void kill_point(std::string_view name) noexcept {
    static const char* const wanted = std::getenv("COFFER_KILL_POINT");
    if (wanted == nullptr) return;
    static const std::string_view text(wanted);
    static const std::size_t colon = text.find(':');
    if (name != text.substr(0, colon)) return;
    static const int nth = colon == std::string_view::npos ? 1 : std::atoi(wanted + colon + 1);
    static std::atomic<int> passed{0};
    if (++passed == nth) ::kill(::getpid(), SIGKILL);
}
#endif

}  // namespace coffer
