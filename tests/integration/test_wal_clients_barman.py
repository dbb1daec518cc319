"""The clients of database hosts and put-wal; and both of them with a box that is a Barman's (Debian's)."""
import hashlib
import os
import shutil

import pytest

from lib import processes, waiting
from lib.box import Box
from lib.postgres import Postgres
from lib.wal_clients import WalHost

SEGMENTS = 4


class BarmansBox:
    """A Barman with a server that it never connects to, and real segments of it, not compressed."""

    def __init__(self, directory):
        self.directory = processes.make_directory(directory)
        self.home = processes.make_directory(os.path.join(directory, "home"))
        self.config = os.path.join(directory, "barman.conf")
        processes.write(self.config, f"[barman]\nbarman_home = {self.home}\nbarman_user = {processes.USER}\n"
                                     f"configuration_files_directory = {directory}/none\nlog_file = {directory}/barman.log\n"
                                     "[main]\ndescription = peer\narchiver = on\nbackup_method = postgres\n"
                                     "conninfo = host=127.0.0.1 port=9\nstreaming_conninfo = host=127.0.0.1 port=9\n")
        processes.make_directory(os.path.join(self.home, "main"))
        for folder in ("wals", "incoming", "streaming", "errors", "base", "meta"):
            processes.make_directory(os.path.join(self.home, "main", folder))
        self.source = processes.make_directory(os.path.join(directory, "source"))
        primary = Postgres(os.path.join(directory, "primary"))
        primary.create(archive_mode="on", archive_command=f"cp %p {self.source}/%f").start()
        self.names = [primary.switch_wal() for _ in range(SEGMENTS)]
        primary.wait_for("select last_archived_wal >= %s from pg_stat_archiver", "all is archived", 30, self.names[-1])
        primary.stop()
        wals = processes.make_directory(os.path.join(self.home, "main", "wals", self.names[0][:16]))
        for name in self.names:
            processes.run_as_user(["cp", os.path.join(self.source, name), wals])
        self.host = WalHost(os.path.join(directory, "host"), self.config, box_path="/usr/bin:/bin")

    def incoming(self):
        return os.path.join(self.home, "main", "incoming")


@pytest.fixture(scope="module")
def barmans(base):
    yield BarmansBox(os.path.join(base, "barmans"))
    processes.end_all()


@pytest.fixture
def target(barmans):
    folder = processes.make_directory(os.path.join(barmans.directory, "targets"))
    yield os.path.join(folder, "RECOVERYXLOG")
    shutil.rmtree(folder)
    barmans.host.end_resident()
    shutil.rmtree(barmans.host.spool, ignore_errors=True)
    for name in os.listdir(barmans.incoming()):
        os.unlink(os.path.join(barmans.incoming(), name))


def digest(*parts):
    with open(os.path.join(*parts), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def test_a_segment_is_fetched_from_a_barman(barmans, target):
    done = barmans.host.restore(barmans.names[1], target)
    assert done.returncode == 0, done.stderr
    assert digest(target) == digest(barmans.source, barmans.names[1])


def test_what_a_barman_does_not_hold_is_the_end_of_the_log(barmans, target):
    done = barmans.host.restore("0000000100000FFF00000001", target)
    assert done.returncode == 1 and not os.path.exists(target)


def test_a_barmans_box_is_remembered(barmans, target):
    """The read-ahead finds out and ends; from then on a call is one connection."""
    assert barmans.host.restore(barmans.names[0], target, "-p", 4).returncode == 0
    (folder,) = barmans.host.spools()
    waiting.until(lambda: os.listdir(folder) == ["barman"], "the read-ahead has ended")
    before = barmans.host.logins()
    assert barmans.host.restore(barmans.names[1], target, "-p", 4).returncode == 0
    assert digest(target) == digest(barmans.source, barmans.names[1])
    assert barmans.host.logins() == before + 1


def test_a_short_segment_of_a_barman_is_not_given(barmans, target):
    stored = os.path.join(barmans.home, "main", "wals", barmans.names[2][:16], barmans.names[2])
    os.truncate(stored, 8 << 20)
    try:
        done = barmans.host.restore(barmans.names[2], target)
        assert done.returncode == 126 and "whole segment" in done.stderr
        assert os.listdir(os.path.dirname(target)) == []
    finally:
        processes.run_as_user(["cp", os.path.join(barmans.source, barmans.names[2]), stored])


# 3.4 knows no other checksum.
@pytest.mark.parametrize("options", [("--md5",)])
def test_a_segment_is_given_to_a_barman(barmans, target, options):
    name = barmans.names[0]
    done = barmans.host.archive(os.path.join(barmans.source, name), *options)
    assert done.returncode == 0, done.stderr
    assert digest(barmans.incoming(), name) == digest(barmans.source, name)


def test_what_cannot_be_given_is_an_error_of_its_own(barmans, target):
    path = os.path.join(barmans.source, barmans.names[0])
    assert barmans.host.archive(path, "--port", "1").returncode == 3
    for wrong in (os.path.join(barmans.source, "00000009.history"), "/etc/passwd", barmans.source):
        done = barmans.host.archive(wrong)
        assert done.returncode == 2 and "ERROR" in done.stderr
    done = barmans.host.archive(path, "--zstd")
    assert done.returncode == 2 and "HINT" in done.stderr
    done = barmans.host.archive(path, server="unknown")
    assert 1 <= done.returncode <= 125
    assert os.listdir(barmans.incoming()) == []


def test_a_test_of_put_wal_says_so(barmans, target):
    assert barmans.host.archive(os.path.join(barmans.source, barmans.names[0]), "-t").returncode == 0
    assert barmans.host.archive("anything", "-t", "--port", "1").returncode == 3
    assert os.listdir(barmans.incoming()) == []


def test_a_box_without_any_program_is_told(barmans, target, tmp_path):
    os.chmod(tmp_path, 0o755)
    empty = WalHost(os.path.join(barmans.directory, "empty"), barmans.config, box_path=f"{tmp_path}:/none")
    path = os.path.join(barmans.source, barmans.names[0])
    done = empty.archive(path)
    assert done.returncode == 2 and "neither cofferctl nor barman" in done.stderr
    done = empty.restore(barmans.names[0], target)
    assert done.returncode == 2 and "neither cofferctl nor barman" in done.stderr


@pytest.mark.skipif("put-wal" not in processes.run([os.path.join(processes.BIN, "cofferctl"), "--help"], check=False).stdout,
                    reason="cofferctl has no put-wal")
def test_a_segment_is_given_to_a_coffer(barmans, target):
    """Whoever sends other bytes under the same name is told."""
    box = Box(os.path.join(barmans.directory, "box"))
    box.add_server("main", Postgres(os.path.join(barmans.directory, "none")), streaming_archiver="off", archiver="on",
                   slot_name=None, create_slot=None)
    box.start("archiver")  # which makes the directories
    box.stop()
    host = WalHost(os.path.join(barmans.directory, "coffers"), box.config)
    name = barmans.names[0]
    for _ in range(2):
        done = host.archive(os.path.join(barmans.source, name))
        assert done.returncode == 0, done.stderr
    assert digest(box.path("main", "incoming", name)) == digest(barmans.source, name)
    other = processes.make_directory(os.path.join(barmans.directory, "other"))
    processes.run_as_user(["cp", os.path.join(barmans.source, name), other])
    with open(os.path.join(other, name), "r+b") as file:
        file.seek((15 << 20) + 5000)  # in the padding behind the switch: sound, and not the same
        file.write(b"other bytes")
    assert host.archive(os.path.join(other, name)).returncode == 4
    assert digest(box.path("main", "incoming", name)) == digest(barmans.source, name)
