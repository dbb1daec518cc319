#pragma once
// A small file system of its own on a loop device, for tests that depend on its kind. Only root can have one: without
// it mounted() is false, and such a test has nothing to do.
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "lib/base/files.h"

namespace coffer::test {

class LoopDisk {
  public:
    explicit LoopDisk(const std::string& kind) {
        if (::geteuid() != 0) return;
        char name[] = "/tmp/coffer-disk-XXXXXX";
        directory_ = ::mkdtemp(name);
        const std::string image = (directory_ / "image").string();
        const std::string make = kind == "xfs" ? "mkfs.xfs -q" : kind == "btrfs" ? "mkfs.btrfs -q" : "mkfs.ext4 -q -F";
        std::filesystem::create_directory(path());
        const std::string command = "PATH=$PATH:/usr/sbin:/sbin; truncate -s 320M " + image + " && " + make + " " +
                                    image + " && mount -o loop " + image + " " + path().string();
        mounted_ = std::system(command.c_str()) == 0;
        if (!mounted_) std::abort();  // as root it must work
    }
    ~LoopDisk() {
        if (directory_.empty()) return;
        if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    LoopDisk(const LoopDisk&) = delete;
    LoopDisk& operator=(const LoopDisk&) = delete;

    [[nodiscard]] bool mounted() const noexcept { return mounted_; }
    [[nodiscard]] Path path() const { return directory_ / "mounted"; }

  private:
    Path directory_;
    bool mounted_ = false;
};

}  // namespace coffer::test
