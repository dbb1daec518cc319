#pragma once
// Who works on a backup, and who reads it: flock() on meta/.<ID>.lock.
//
// The kernel releases the lock when its holder dies, however it dies; so a lock tells a live worker from one cut off,
// and a reader's lease ends with the reader. Threads: one lock object belongs to one thread.
#include <string_view>

#include "lib/base/unique_fd.h"
#include "lib/config/config.h"

namespace coffer::catalogue {

// A locked file that vanishes with its last holder. Empty is legal.
class LockFile {
  public:
    enum class Mode { exclusive, shared };

    LockFile() noexcept = default;
    // nullopt when somebody else holds it. Creates the file, and its folder where that is missing; what root creates
    // belongs to the owner of the folder.
    static std::optional<LockFile> try_lock(const Path& path, Mode mode);
    // Does anybody hold it exclusively? Creates nothing.
    static bool held(const Path& path);

    LockFile(LockFile&&) noexcept = default;
    LockFile& operator=(LockFile&& other) noexcept;
    LockFile(const LockFile&) = delete;
    LockFile& operator=(const LockFile&) = delete;
    ~LockFile() { release(); }
    void release() noexcept;
    // From exclusive to shared. False when somebody else came in between, and has it now: then this is empty.
    [[nodiscard]] bool share() noexcept;

  private:
    LockFile(UniqueFd fd, Path path) noexcept : fd_(std::move(fd)), path_(std::move(path)) {}
    UniqueFd fd_;
    Path path_;
};

Path backup_lock_path(const config::Server& server, std::string_view backup_id);

// Held by the process that writes or removes a backup.
class BackupLock {
  public:
    // Throws busy; not_supported for a backup whose record a newer Coffer wrote.
    BackupLock(const config::Server& server, std::string_view backup_id);
    explicit BackupLock(LockFile lock) noexcept : lock_(std::move(lock)) {}

  private:
    LockFile lock_;
};

// Held by whoever reads a backup (restore, verification), several at a time: while it lives the backup is not removed.
class BackupLease {
  public:
    // Throws busy; not_supported as above; no_such_backup when it is gone by now.
    BackupLease(const config::Server& server, std::string_view backup_id);

  private:
    LockFile lock_;
};

// One backup per server at a time: Barman's own lock file, so that a Barman on the same catalogue is shut out as well.
class ServerBackupLock {
  public:
    ServerBackupLock(const config::Config& config, const config::Server& server);  // throws busy

  private:
    LockFile lock_;
};

}  // namespace coffer::catalogue
