#include "tools/clients/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "lib/base/error.h"

namespace coffer::clients {
namespace {

constexpr const char* usual_parent = "/var/tmp/walrestore";
constexpr const char* hidden_parent = ".coffer-wal-restore";
constexpr std::time_t barman_seconds = 600;

dev_t device_of(const Path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot look at directory", path.string());
    return status.st_dev;
}

// A directory in which nobody but us can put a file, made where it is missing.
void own_directory(const Path& path, bool private_one) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        throw Error::from_errno(errno, "cannot make directory", path.string());
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot look at directory", path.string());
    const mode_t others = private_one ? 0077 : 0022;
    if (S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & others) == 0) return;
    throw Error(ErrorCode::permission_denied, "the directory is not this user's alone", path.string(),
                "remove it, or name another one with --spool-dir");
}

// FNV-1a, 64 bits: names a folder, and protects nothing.
std::uint64_t hash_of(const std::string& text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

std::string folder_of(const Box& box, const Path& directory) {
    std::string key;
    for (const std::string& part : {box.host, box.user, box.port, box.config, box.server, directory.string()}) {
        key += part + '\0';
    }
    std::string name;
    for (const char c : box.server.substr(0, 40)) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    char hash[20];
    std::snprintf(hash, sizeof hash, "-%016" PRIx64, hash_of(key));
    return name + hash;
}

bool fill(sockaddr_un& address, const Path& path) {
    address.sun_family = AF_UNIX;
    if (path.string().size() >= sizeof address.sun_path) return false;
    std::strcpy(address.sun_path, path.c_str());
    return true;
}

}  // namespace

Spool::Spool(const Box& box, const Path& parent, const Path& destination) {
    const Path directory = destination.parent_path();
    Path chosen = parent;
    if (chosen.empty()) {
        chosen = usual_parent;
        const bool same = device_of(chosen.parent_path()) == device_of(directory);
        if (!same) chosen = directory / hidden_parent;
    }
    own_directory(chosen, false);
    path_ = std::filesystem::canonical(chosen) / folder_of(box, directory);
    own_directory(path_, true);
    folder_ = files().open(path_, O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

Path Spool::socket_path() const {
    return "/proc/self/fd/" + std::to_string(folder_.get()) + "/sock";
}

UniqueFd Spool::try_lock() const {
    constexpr int attempts = 10;  // a process that ends removes its lock
    for (int attempt = 0; attempt < attempts; ++attempt) {
        UniqueFd fd(::open(lock_path().c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
        struct stat locked {
        }, there{};
        if (::fstat(fd.get(), &locked) == 0 && ::stat(lock_path().c_str(), &there) == 0 &&
            locked.st_ino == there.st_ino && locked.st_dev == there.st_dev) {
            return fd;
        }
    }
    return {};
}

void Spool::remove_files() const noexcept {
    DIR* const folder = ::opendir(path_.c_str());
    if (folder == nullptr) return;
    while (const dirent* entry = ::readdir(folder)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != ".." && name != "lock" && name != "barman")
            ::unlinkat(::dirfd(folder), entry->d_name, 0);
    }
    ::closedir(folder);
}

UniqueFd Spool::listen_alone() const {
    constexpr int waiting = 16;
    remove_files();
    sockaddr_un address{};
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const mode_t mask = ::umask(0177);
    const bool bound = fd && fill(address, socket_path()) &&
                       ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       ::listen(fd.get(), waiting) == 0;
    const int why = errno;
    ::umask(mask);
    if (!bound) throw Error::from_errno(why, "cannot make a socket", (path_ / "sock").string());
    return fd;
}

UniqueFd Spool::connect() const {
    sockaddr_un address{};
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || !fill(address, socket_path())) return {};
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    return fd;
}

void Spool::remove_all() const noexcept {
    remove_files();
    ::unlink(lock_path().c_str());
    ::rmdir(path_.c_str());                // unless it is noted there that the box is a Barman's
    ::rmdir(path_.parent_path().c_str());  // unless others use it
}

void Spool::note_barman() const noexcept {
    const UniqueFd fd(::open(file("barman").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (fd) (void)::futimens(fd.get(), nullptr);
}

bool Spool::is_barman() const noexcept {
    struct stat status {};
    return ::stat(file("barman").c_str(), &status) == 0 && ::time(nullptr) - status.st_mtime < barman_seconds;
}

HandOver hand_over_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw Error::from_errno(errno, "cannot look at file", {});
    constexpr std::int64_t nanoseconds = 1000000000;
    return {status.st_ino, static_cast<std::uint64_t>(status.st_size),
            status.st_ctim.tv_sec * nanoseconds + status.st_ctim.tv_nsec};
}

std::string format(const HandOver& ready) {
    return "ready " + std::to_string(ready.inode) + " " + std::to_string(ready.size) + " " +
           std::to_string(ready.changed) + "\n";
}

std::optional<HandOver> parse_hand_over(const std::string& line) {
    HandOver ready;
    int end = 0;
    if (std::sscanf(line.c_str(), "ready %" SCNu64 " %" SCNu64 " %" SCNd64 "%n", &ready.inode, &ready.size,
                    &ready.changed, &end) != 3) {
        return {};
    }
    return static_cast<std::size_t>(end) == line.size() ? std::optional(ready) : std::nullopt;
}

}  // namespace coffer::clients
