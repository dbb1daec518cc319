#include "lib/scrub/image_mend.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/subvolume.h"
#include "lib/catalogue/backup_lock.h"
#include "lib/image/clone.h"
#include "lib/image/file_parts.h"
#include "lib/scrub/shared_bytes.h"

namespace coffer::scrub {
namespace {

using catalogue::BackupInfo;
using verify::WantedFile;

// As long as it lives the tree that holds the file can be written to.
class Writable {
  public:
    Writable(const Path& backup_path, const Path& file) {
        for (const Path& tree : image::trees_of(backup_path)) {
            if (is_subvolume(tree) && file.string().starts_with(tree.string() + "/") && is_read_only(tree))
                tree_ = tree;
        }
        if (!tree_.empty()) set_read_only(tree_, false);
    }
    ~Writable() {
        if (tree_.empty()) return;
        try {
            set_read_only(tree_, true);
        } catch (const std::exception& error) {
            log_warning("an image stays writable: {}", error.what());
        }
    }
    Writable(const Writable&) = delete;
    Writable& operator=(const Writable&) = delete;

  private:
    Path tree_;
};

std::optional<WantedFile> same_file_in(const verify::BackupFiles& files, const WantedFile& wanted) {
    std::optional<WantedFile> found;
    try {
        image::read_manifest(files.manifest(), [&](const image::ManifestFile& file) {
            if (file.path == wanted.expected.path && file.size == wanted.expected.size &&
                file.algorithm == wanted.expected.algorithm && file.checksum == wanted.expected.checksum)
                found = WantedFile{file, true};
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::io) throw;
        return std::nullopt;
    }
    return found;
}

bool proves_right(int fd, const Path& path, const WantedFile& file, const verify::OnPiece& each) {
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (::lseek(fd, 0, SEEK_SET) != 0) throw Error::from_errno(errno, "cannot read file", path.string());
    const auto content = verify::read_content(fd, path, file, false, each);
    return content && content->digest == file.expected.checksum;
}

// A hard link shares the mode as well.
bool hard_link(const Path& from, const Path& to, mode_t wanted_mode) {
    struct stat status {};
    if (::lstat(from.c_str(), &status) != 0 || (status.st_mode & 07777) != wanted_mode) return false;
    return ::link(from.c_str(), to.c_str()) == 0;
}

// The new file under its temporary name, durable.
UniqueFd place_copy(int good, const Path& good_path, const Path& target, mode_t mode) {
    const Path temporary = image::replacement_of(target);
    files().unlink(temporary);
    UniqueFd fd = files().open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (::ioctl(fd.get(), FICLONE, good) == 0) {
        files().sync(fd.get(), temporary);
        return fd;
    }
    files().unlink(temporary);
    if (hard_link(good_path, temporary, mode)) return files().open(temporary, O_RDONLY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(good, &status) != 0) throw Error::from_errno(errno, "cannot look at file", good_path.string());
    fd = files().open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    image::copy_begin(good, fd.get(), static_cast<std::uint64_t>(status.st_size), temporary);
    files().sync(fd.get(), temporary);
    return fd;
}

mode_t mode_of(const Path& target, int good) {
    struct stat status {};
    if (::lstat(target.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) (void)::fstat(good, &status);
    return status.st_mode & 07777;
}

// Where damaged and good lie on the same bytes, or the target cannot be looked at, the donor's proof decides.
bool on_the_same_bytes(const Path& target, const ByteMap& good) {
    const UniqueFd fd(::open(target.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return false;
    const ByteMap mine = byte_map(fd.get(), target);
    return mine.device == good.device && mine.inode == good.inode;
}

bool mend_with(const config::Server& server, const BackupInfo& backup, const BackupInfo& donor, const WantedFile& file,
               const verify::OnPiece& each) {
    const catalogue::BackupLease lease(server, donor.backup_id);
    const verify::BackupFiles donor_files(server, donor);
    const auto same = same_file_in(donor_files, file);
    if (!same) return false;
    const Path good_path = donor_files.place_of(file.expected.path);
    const verify::OpenedFile good = verify::open_file(good_path, *same);
    const Path target = verify::BackupFiles(server, backup).place_of(file.expected.path);
    if (good.fault || on_the_same_bytes(target, byte_map(good.fd.get(), good_path))) return false;
    if (!proves_right(good.fd.get(), good_path, *same, each)) return false;

    const Writable writable(catalogue::Catalogue(server).backup_path(backup.backup_id), target);
    const Path temporary = image::replacement_of(target);
    try {
        const UniqueFd placed = place_copy(good.fd.get(), good_path, target, mode_of(target, good.fd.get()));
        kill_point("scrub.mend.written");
        if (!proves_right(placed.get(), temporary, file, each)) {
            files().unlink(temporary);
            return false;
        }
        files().rename(temporary, target);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    files().sync_directory(target.parent_path());
    kill_point("scrub.mend.renamed");
    return true;
}

}  // namespace

std::optional<std::string> mend_file(const config::Server& server, const BackupInfo& backup, const WantedFile& file,
                                     const verify::OnPiece& each) {
    if (!file.in_manifest || file.expected.checksum.empty()) return std::nullopt;
    const std::vector<BackupInfo> all = catalogue::Catalogue(server).backups();
    for (auto donor = all.rbegin(); donor != all.rend(); ++donor) {
        if (donor->backup_id == backup.backup_id || donor->status != catalogue::BackupStatus::done) continue;
        try {
            if (mend_with(server, backup, *donor, file, each)) return donor->backup_id;
        } catch (const Error& error) {
            // One that is being deleted, or is in a form of Barman's.
            if (error.code() != ErrorCode::busy && error.code() != ErrorCode::no_such_backup &&
                error.code() != ErrorCode::not_supported)
                throw;
        }
    }
    return std::nullopt;
}

void tidy_image(const config::Server& server, const BackupInfo& backup) {
    const catalogue::Catalogue catalogue(server);
    const auto extra = catalogue.extra(backup.backup_id);
    if (!extra || extra->foreign) return;  // Barman's are as Barman made them
    const verify::BackupFiles backup_files(server, backup);
    std::vector<Path> left;
    backup_files.for_each([&](const std::string& path, std::uint64_t) {
        if (Path(path).filename().string().starts_with(".coffer.")) left.push_back(backup_files.place_of(path));
    });
    for (const Path& path : left) {
        const Writable writable(catalogue.backup_path(backup.backup_id), path);
        files().unlink(path);
        files().sync_directory(path.parent_path());
    }
    for (const Path& tree : image::trees_of(catalogue.backup_path(backup.backup_id))) {
        if (is_subvolume(tree) && !is_read_only(tree)) set_read_only(tree, true);
    }
}

}  // namespace coffer::scrub
