"""A database host for tests of the WAL clients: its programs reach the box through a real sshd."""
import glob
import os
import signal

from lib import processes, waiting
from lib.sshd import Sshd


class WalHost:
    """ssh, as its programs find it, has the configuration of this sshd's client. On the box, PATH is what box_path says."""

    def __init__(self, directory, box_config, box_path=f"{processes.BIN}:/usr/bin:/bin"):
        self.directory = processes.make_directory(directory)
        self.config = box_config
        self.sshd = Sshd(os.path.join(directory, "sshd")).start({"PATH": box_path})
        self.programs = processes.make_directory(os.path.join(directory, "bin"))
        self.spool = os.path.join(directory, "spool")
        self.user = processes.USER
        wrapper = os.path.join(self.programs, "ssh")
        processes.write(wrapper, f'#!/bin/sh\nexec /usr/bin/ssh -F {self.sshd.config} "$@"\n')
        os.chmod(wrapper, 0o755)

    def environment(self):
        return processes.environment(PATH=f"{self.programs}:/usr/bin:/bin")

    def words(self, program, *options):
        return [os.path.join(processes.BIN, program), "-U", self.user, "-c", self.config, *map(str, options)]

    def restore(self, name, destination, *options, server="main", host="box", timeout=120, spool=True):
        """coffer-wal-restore, run once; the finished process. spool: whether to name this host's."""
        options = options + ("--spool-dir", self.spool) if spool and "-p" in options else options
        argv = self.words("coffer-wal-restore", *options, host, server, name, destination)
        return processes.run_as_user(argv, check=False, env=self.environment(), timeout=timeout)

    def restore_command(self, *options, server="main"):
        """The same for a server's configuration."""
        words = self.words("coffer-wal-restore", *options, "--spool-dir", self.spool, "box", server)
        return f"PATH={self.programs}:/usr/bin:/bin {' '.join(words)} %f %p"

    def archive(self, path, *options, server="main"):
        argv = self.words("coffer-wal-archive", *options, "box", server, path)
        return processes.run_as_user(argv, check=False, env=self.environment())

    def logins(self):
        """How many connections there were."""
        with open(self.sshd.log, encoding="utf-8", errors="replace") as log:
            return log.read().count("Accepted publickey")

    # -- the read-ahead

    def spools(self):
        return sorted(glob.glob(os.path.join(self.spool, "*", "")))

    def resident(self):
        """The number of the only resident process."""
        (folder,) = self.spools()
        with open(os.path.join(folder, "lock"), encoding="ascii") as lock:
            return int(lock.read())

    def waiting(self):
        """Names that were read ahead, in all spools."""
        return sorted(os.path.basename(path) for folder in self.spools() for path in glob.glob(folder + "0*"))

    def wait_ahead(self, count, seconds=60):
        waiting.until(lambda: len(self.waiting()) == count, f"{count} segments are read ahead", seconds)
        return self.waiting()

    def end_resident(self, how=signal.SIGKILL):
        """Every resident process of this host, at once."""
        for folder in self.spools():
            try:
                with open(os.path.join(folder, "lock"), encoding="ascii") as lock:
                    number = int(lock.read())
                end(number, how)
            except (FileNotFoundError, ValueError):
                pass


def end(number, how=signal.SIGKILL, seconds=30):
    """A process that is no child of ours; returns when it has ended."""
    try:
        descriptor = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, how)
        waiting.until(lambda: not alive(number), f"process {number} has ended", seconds)
    finally:
        os.close(descriptor)


def alive(number):
    try:
        with open(f"/proc/{number}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(number):
    with open(f"/proc/{number}/task/{number}/children", encoding="ascii") as listed:
        return [int(child) for child in listed.read().split()]
