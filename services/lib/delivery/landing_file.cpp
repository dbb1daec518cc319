#include "lib/delivery/landing_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/error.h"

namespace coffer::delivery {
namespace {

constexpr std::string_view prefix = ".put-", suffix = ".tmp";

}  // namespace

LandingFile::LandingFile(const Path& directory, const std::string& name) {
    static int number = 0;
    const std::string unique = std::to_string(::getpid()) + "-" + std::to_string(++number);
    path_ = directory / (std::string(prefix) + unique + "-" + name + std::string(suffix));
    ::unlink(path_.c_str());  // of an earlier process with this number
    fd_ = files().open(path_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
    (void)::flock(fd_.get(), LOCK_EX | LOCK_NB);
}

LandingFile::~LandingFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

void LandingFile::remove_leftovers(const Path& directory, std::time_t older_than_seconds) noexcept {
    try {
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            const std::string name = entry.path().filename().string();
            if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
            const UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
            struct stat status {};
            if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
            if (std::time(nullptr) - status.st_ctim.tv_sec < older_than_seconds) continue;
            if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
        }
    } catch (const std::exception&) {  // the next one tries again
    }
}

Mapping::Mapping(int fd, const Path& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    address_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    if (address_ == MAP_FAILED) {
        address_ = nullptr;
        throw Error::from_errno(errno, "cannot read file", path.string());
    }
}

Mapping::~Mapping() {
    if (address_ != nullptr) ::munmap(address_, size_);
}

}  // namespace coffer::delivery
