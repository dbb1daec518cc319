"""Small file systems of their own, on loop devices, for full disks and reflinks."""
import errno
import os

from lib import processes

_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


class Disk:
    """A mounted image, owned by the tests' user. xfs needs 300 MB at least, btrfs 120."""

    def __init__(self, directory, kind, megabytes):
        self.mount_point = processes.make_directory(directory)
        self.image = f"{directory}.img"
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        processes.run(_MAKE[kind] + [self.image])
        self.attach()
        processes.make_directory(self.mount_point)
        self._ballast = os.path.join(self.mount_point, "ballast")

    def attach(self):
        processes.run(["mount", "-o", "loop", self.image, self.mount_point])

    def detach(self):
        """Everything is on the image then, and nothing in memory."""
        processes.run(["umount", self.mount_point])

    def free(self):
        status = os.statvfs(self.mount_point)
        return status.f_bavail * status.f_frsize

    def fill(self, leave=0):
        """Takes all room but leave bytes."""
        # Not all that statfs calls free can be had: a file system keeps some for its own bookkeeping. So in ever smaller
        # pieces, until not one block is to be had.
        size, piece = 0, 64 << 20
        with open(self._ballast, "wb") as ballast:
            while piece >= 4096:
                want = min(piece, self.free() - leave)
                try:
                    if want <= 0:
                        break
                    os.posix_fallocate(ballast.fileno(), size, want)
                    size += want
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2

    def make_room(self):
        os.unlink(self._ballast)

    def unmount(self):
        processes.run(["umount", "--lazy", self.mount_point])
        os.unlink(self.image)
