#include "lib/catalogue/backup_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"

namespace coffer::catalogue {
namespace {

// A lock on a file that was unlinked meanwhile protects nothing.
bool still_there(int fd, const Path& path) {
    struct stat mine {};
    struct stat current {};
    return ::fstat(fd, &mine) == 0 && ::stat(path.c_str(), &current) == 0 && mine.st_ino == current.st_ino &&
           mine.st_dev == current.st_dev;
}

// The lock of root would be in everybody's way for ever once root was killed: it gets the owner of its directory. Not a
// file that somebody put there for root to give away.
void give_to_owner_of_directory(int fd, const Path& path) {
    struct stat mine {};
    struct stat above {};
    if (::geteuid() != 0 || ::stat(path.parent_path().c_str(), &above) != 0 || ::fstat(fd, &mine) != 0) return;
    if (mine.st_uid == above.st_uid || !S_ISREG(mine.st_mode) || mine.st_nlink != 1 || mine.st_size != 0) return;
    if (::fchown(fd, above.st_uid, above.st_gid) != 0) {
        throw Error::from_errno(errno, "cannot set the owner of file", path.string());
    }
}

LockFile lock_or_busy(const Path& path, LockFile::Mode mode, std::string what, std::string where, std::string remedy) {
    auto lock = LockFile::try_lock(path, mode);
    if (!lock) throw Error(ErrorCode::busy, std::move(what), std::move(where), std::move(remedy));
    return std::move(*lock);
}

}  // namespace

std::optional<LockFile> LockFile::try_lock(const Path& path, Mode mode) {
    make_directories_durably(path.parent_path());
    for (;;) {
        UniqueFd fd = files().open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        give_to_owner_of_directory(fd.get(), path);
        if (::flock(fd.get(), (mode == Mode::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) return std::nullopt;
            if (errno == EINTR) continue;
            throw Error::from_errno(errno, "cannot lock file", path.string());
        }
        if (still_there(fd.get(), path)) return LockFile(std::move(fd), path);
    }
}

bool LockFile::held(const Path& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
    if (this != &other) {
        release();
        fd_ = std::move(other.fd_);
        path_ = std::move(other.path_);
    }
    return *this;
}

void LockFile::release() noexcept {
    if (!fd_) return;
    // Only the last holder can have it exclusively, so nobody's lock is unlinked.
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path_.c_str());
    fd_.reset();
}

bool LockFile::share() noexcept {
    if (::flock(fd_.get(), LOCK_SH | LOCK_NB) == 0 && still_there(fd_.get(), path_)) return true;
    fd_.reset();
    return false;
}

Path backup_lock_path(const config::Server& server, std::string_view backup_id) {
    return server.meta_directory() / ("." + std::string(backup_id) + ".lock");
}

BackupLock::BackupLock(const config::Server& server, std::string_view backup_id)
    : lock_(lock_or_busy(backup_lock_path(server, backup_id), LockFile::Mode::exclusive,
                         "the backup is being written, read or removed", std::string(backup_id),
                         "try again when that has ended")) {
    Catalogue(server).require_known_record(backup_id);
}

BackupLease::BackupLease(const config::Server& server, std::string_view backup_id)
    : lock_(lock_or_busy(backup_lock_path(server, backup_id), LockFile::Mode::shared,
                         "the backup is being written or removed", std::string(backup_id),
                         "try again when that has ended, or take another backup")) {
    Catalogue(server).require_known_record(backup_id);
    // What was chosen a moment ago may have been deleted before it was locked.
    if (Catalogue(server).find(backup_id)) return;
    throw Error(ErrorCode::no_such_backup, "the backup was deleted meanwhile", std::string(backup_id),
                "choose another backup");
}

ServerBackupLock::ServerBackupLock(const config::Config& config, const config::Server& server)
    : lock_(lock_or_busy(config.lock_directory / ("." + server.name + "-backup.lock"), LockFile::Mode::exclusive,
                         "another backup of this server is running", server.name, "wait for it, or cancel it")) {}

}  // namespace coffer::catalogue
