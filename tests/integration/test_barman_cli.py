"""Barman's own clients, of Debian 12 and of 3.20, on a database host whose box is Coffer's: through a real sshd and a key that
allows what they need. What the box is, they do not notice.
"""
import os
import shutil
import stat
import subprocess

import pytest

from lib import barman, judge, parcels, pgroots, processes, waiting
from lib.box import Box
from lib.ledger import Ledger
from lib.postgres import Postgres
from lib.sshd import Sshd

RELEASES = (barman.OLD, barman.NEW)


class Lab:
    """A server whose WAL comes by archive_command alone, its box, and the host's own ssh."""

    def __init__(self, directory, archiving=False):
        self.directory = processes.make_directory(directory)
        self.primary = Postgres(os.path.join(directory, "primary"))
        self.box = Box(os.path.join(directory, "box"))
        self.configure()
        self.box.start_bus()
        self.box.archiver.start()
        # On a box, /usr/bin/barman is a link to cofferctl; here the forced command finds all that.
        self.sshd = Sshd(os.path.join(directory, "sshd"))
        self.host, key = self.sshd.client("host")
        script = os.path.join(processes.TOP, "provisioning", "authorized-key")
        argv = [script, "--config", self.box.config, "--cofferctl", os.path.join(processes.BIN, "cofferctl"), "main", "put,get"]
        line = subprocess.run(argv, input=key, capture_output=True, text=True, check=True).stdout.strip()
        self.sshd.authorize(line)
        self.sshd.start(environment={"COFFER_LIBEXEC": processes.BIN})
        self.bin = self.make_ssh(processes.make_directory(os.path.join(directory, "bin")))
        self.spool = os.path.join(directory, "spool")
        settings = {"wal_keep_size": "1GB"}
        if archiving:
            settings |= {"archive_mode": "on", "archive_command": " ".join(self.words("barman-wal-archive", "box", "main", "%p"))}
        self.primary.create(**settings).start()

    def stop(self):
        self.primary.kill()
        self.sshd.stop()
        self.box.stop()

    def configure(self, **settings):
        self.box.add_server("main", self.primary, **({"archiver": "on", "streaming_archiver": "off", "slot_name": None,
                                                      "create_slot": None, "compression": "gzip"} | settings))

    def make_ssh(self, directory):
        """The clients call "ssh": this one reads the test's configuration. The program is a copy that the root of 3.20 sees too."""
        program = os.path.join(directory, "ssh.program")
        shutil.copy("/usr/bin/ssh", program)
        processes.write(os.path.join(directory, "ssh"), f'#!/bin/sh\nexec {program} -F {self.host} "$@"\n')
        for each in ("ssh", "ssh.program"):
            os.chmod(os.path.join(directory, each), stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        return directory

    def words(self, program, *arguments):
        """As archive_command and restore_command have them."""
        return ["env", f"PATH={self.bin}:/usr/bin:/bin", f"/usr/bin/{program}", "-U", processes.USER, *arguments]

    def run(self, release, program, *arguments):
        """A client on the host; the finished process."""
        argv = self.words(program, *arguments)
        argv = pgroots.in_root(pgroots.ensure_root("peers"), argv) if release == barman.NEW else processes.AS_USER + argv
        return processes.run(argv, check=False)

    def settle(self, name):
        self.box.wait_archived("main", name)
        waiting.until(lambda: not os.listdir(self.box.path("main", "incoming")), "incoming/ is empty")


@pytest.fixture(scope="module")
def lab(base):
    made = Lab(os.path.join(base, "barman-cli"))
    yield made
    made.stop()


def path_of(lab, name):
    return os.path.join(lab.primary.data, "pg_wal", name)


@pytest.mark.parametrize("release", RELEASES)
def test_their_connectivity_tests_pass(lab, release):
    for program, names in (("barman-wal-archive", ["x"]), ("barman-wal-restore", ["x", "y"])):
        done = lab.run(release, program, "--test", "box", "main", *names)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Ready to" in done.stdout
        assert lab.run(release, program, "--test", "box", "unknown", *names).returncode not in (0, 255)


@pytest.mark.parametrize("release, options", [
    (barman.OLD, []),
    (barman.OLD, ["--config", "/etc/barman.conf"]),
    (barman.NEW, []),
    (barman.NEW, ["--md5"]),
    (barman.NEW, ["--gzip"]),
], ids=str)
def test_wal_archive_archives(lab, release, options):
    name, content = parcels.segment(lab.primary)
    for _ in range(2):  # it may be called again for what is archived already
        done = lab.run(release, "barman-wal-archive", *options, "box", "main", path_of(lab, name))
        assert done.returncode == 0, done.stdout + done.stderr
    lab.settle(name)
    got = os.path.join(lab.directory, "got")
    lab.box.cofferctl("get-wal", "main", name, "--to", got)
    with open(got, "rb") as file:
        assert file.read() == content


@pytest.mark.parametrize("release", RELEASES)
def test_wal_archive_fails_where_other_bytes_are_held(lab, release):
    name = f"0000000{7 + RELEASES.index(release)}.history"
    paths = []
    for place in ("one", "two"):
        directory = processes.make_directory(os.path.join(lab.directory, place))
        paths.append(os.path.join(directory, name))
        processes.write(paths[-1], f"1\t0/{len(paths)}000000\tno reason\n")
    assert lab.run(release, "barman-wal-archive", "box", "main", paths[0]).returncode == 0
    done = lab.run(release, "barman-wal-archive", "box", "main", paths[1])
    assert done.returncode == 4
    assert f"other bytes are held as {name}" in done.stderr
    waiting.until(lambda: not os.listdir(lab.box.path("main", "incoming")), "incoming/ is empty")


@pytest.mark.parametrize("release, options", [
    (barman.OLD, []),
    (barman.OLD, ["--gzip"]),
    (barman.OLD, ["--bzip2", "--partial"]),
    (barman.OLD, ["-p", "2"]),
    (barman.NEW, ["--keep-compression"]),
    (barman.NEW, ["--partial", "-p", "2"]),
], ids=str)
def test_wal_restore_restores(lab, release, options):
    segments = []
    for _ in range(2):
        segments.append(parcels.segment(lab.primary))
        assert parcels.put(lab.box, parcels.parcel(*segments[-1])).returncode == 0
        lab.settle(segments[-1][0])
    target = os.path.join(lab.directory, "restored-wal")
    for name, content in segments:
        done = lab.run(release, "barman-wal-restore", *options, "--spool-dir", lab.spool, "box", "main", name, target)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(target, "rb") as file:
            assert file.read() == content
    os.unlink(target)


@pytest.mark.parametrize("release", RELEASES)
def test_wal_restore_tells_what_is_not_held_from_what_is_wrong(lab, release):
    target = os.path.join(lab.directory, "absent-wal")
    absent = "0000000100000000000000FF"
    assert lab.run(release, "barman-wal-restore", "box", "main", absent, target).returncode == 1
    assert lab.run(release, "barman-wal-restore", "box", "other", absent, target).returncode == 126  # not this key's
    done = lab.run(release, "barman-wal-restore", "--port", "1", "box", "main", absent, target)
    assert done.returncode == 2


def test_a_server_is_archived_and_recovered_by_them_alone(base):
    lab = Lab(os.path.join(base, "barman-cli-alone"), archiving=True)
    ledger = Ledger(lab.primary).create().start()
    ledger.wait_more(20)
    backup = lab.box.backup("main")
    ledger.wait_more(50)
    ledger.stop()
    last = lab.primary.switch_wal()
    lab.box.wait_archived("main", last, seconds=120)
    restored = lab.box.restore("main", backup, os.path.join(lab.directory, "restored"), "--get-wal")
    restore = " ".join(lab.words("barman-wal-restore", "-P", "-p", "3", "--spool-dir", lab.spool, "box", "main", "%f", "%p"))
    restored.place_settings |= {"restore_command": restore, "archive_mode": "off"}
    restored.start()
    judge.wait_promoted(restored, seconds=180)
    ledger.check(restored)
    restored.kill()
    lab.stop()
