"""put-wal: what it says it has taken is durable and archived, what it refuses leaves nothing behind, and whoever sends
other bytes under a known name is told."""
import gzip
import os
import signal
import subprocess
import tarfile

import pytest

from lib import processes, waiting
from lib.box import Box
from lib.disks import Disk
from lib.parcels import parcel, put, segment, sums, tar
from lib.postgres import Postgres
from lib.syslog import SystemLog

SETTINGS = {"archiver": "on", "streaming_archiver": "off", "slot_name": None, "create_slot": None, "compression": "zstd"}


@pytest.fixture(scope="module")
def lab(base):
    """A server that keeps its WAL, and a box that takes what is sent."""
    directory = os.path.join(base, "put-wal")
    primary = Postgres(os.path.join(processes.make_directory(directory), "primary")).create(wal_keep_size="1GB").start()
    box = Box(os.path.join(directory, "box"))
    box.add_server("main", primary, **SETTINGS)
    box.start_bus()
    box.archiver.start()
    box.primary = primary
    yield box
    box.stop()
    primary.kill()


def names_in(box, directory):
    return sorted(os.listdir(box.path("main", directory)))


def archived(box, name):
    return box.cofferctl("get-wal", "main", name, "--to", os.path.join(box.directory, "got"), check=False).returncode == 0


def settle(box, name):
    """Until it is archived, and nothing is on its way any more."""
    box.wait_archived("main", name)
    waiting.until(lambda: not names_in(box, "incoming"), "incoming/ is empty")


def content_of(box, name):
    box.cofferctl("get-wal", "main", name, "--to", os.path.join(box.directory, "got"))
    with open(os.path.join(box.directory, "got"), "rb") as file:
        return file.read()


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_what_is_put_is_archived_without_being_asked_for(lab, algorithm):
    name, content = segment(lab.primary)
    done = put(lab, parcel(name, content, algorithm))
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == b""
    settle(lab, name)
    assert content_of(lab, name) == content


def test_histories_and_compressed_files_are_taken(lab):
    assert put(lab, parcel("00000002.history", b"1\t0/3000000\tno reason\n")).returncode == 0
    name, content = segment(lab.primary)
    assert put(lab, parcel(name, gzip.compress(content, 1))).returncode == 0
    settle(lab, name)
    assert content_of(lab, name) == content
    waiting.until(lambda: os.path.exists(lab.path("main", "wals", "00000002.history")), "the history is archived")
    settle(lab, name)


def test_root_puts_what_the_services_can_read(lab):
    name, content = segment(lab.primary)
    assert put(lab, parcel(name, content), as_root=True).returncode == 0
    settle(lab, name)
    assert os.stat(lab.path("main", "wals", name[:16], name)).st_uid == processes.UID


def test_the_same_bytes_again_are_a_success_wherever_they_are(lab):
    name, content = segment(lab.primary)
    for _ in range(2):
        assert put(lab, parcel(name, content)).returncode == 0
    settle(lab, name)
    assert put(lab, parcel(name, content)).returncode == 0
    assert put(lab, parcel(name, gzip.compress(content, 1))).returncode == 0
    assert name not in names_in(lab, "incoming")
    with open(lab.path("main", "wals", "xlog.db"), encoding="utf-8") as index:
        assert sum(line.startswith(name) for line in index) == 1


def two_histories(lab):
    """A segment, and another one of the same name: the server and a copy of it both went on from the same place."""
    lab.primary.switch_wal()
    lab.primary.stop()
    twin = Postgres(os.path.join(lab.directory, "twin"))
    subprocess.run(["cp", "-a", lab.primary.data, twin.data], check=True)
    lab.primary.start()
    twin.start()
    name, content = segment(lab.primary)
    twin.query("select pg_logical_emit_message(true, 'test', 'something else')")
    found, other = segment(twin)
    twin.kill()
    assert found == name and other != content
    return name, content, other


def test_other_bytes_under_a_known_name_are_kept_aside_and_told_to_the_sender(lab):
    name, content, other = two_histories(lab)
    assert put(lab, parcel(name, content)).returncode == 0
    before = names_in(lab, "errors")
    with SystemLog(os.path.join(lab.directory, "dev")) as log:
        done = put(lab, parcel(name, other), enter=log.enter)
        assert f"server main: other bytes are held as {name}" in log.next()  # standard error is the sender's
    assert done.returncode == 4
    assert b"other bytes are held as " + name.encode() in done.stderr
    aside = [each for each in names_in(lab, "errors") if each not in before]
    assert [each.split(".")[0] for each in aside] == [name] and aside[0].endswith(".duplicate")
    with open(lab.path("main", "errors", aside[0]), "rb") as file:
        assert file.read() == other
    # An archive_command that has failed is called again.
    assert put(lab, parcel(name, other)).returncode == 4
    assert [each for each in names_in(lab, "errors") if each not in before] == aside
    # Barman's answer, for who wants it.
    accepted = put(lab, parcel(name, other), "--accept-conflict")
    assert accepted.returncode == 0
    assert b"WARNING" in accepted.stderr
    settle(lab, name)
    assert content_of(lab, name) == content
    assert "FAILED" in [line for line in lab.cofferctl("check", "main", check=False).stdout.splitlines()
                        if "errors" in line.lower() or "duplicate" in line.lower()][0]


def refused(lab):
    """name: streams that must not be taken, with a word of the reason."""
    name, content = segment(lab.primary)
    whole, right = parcel(name, content), sums(name, content)
    wrong = bytearray(content)
    wrong[100000] ^= 1
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard = tarfile.TarInfo(name)
    hard.type, hard.linkname = tarfile.LNKTYPE, "/etc/passwd"
    return name, {
        "nothing": (b"", b"nothing was sent"),
        "no tar": (b"hello" * 1000, b"tar"),
        "cut off in the file": (whole[:len(whole) // 2], b"ERROR"),
        "cut off behind the file": (whole[:512 + len(content)], b"no checksum"),
        "no checksum": (tar([(name, content)]), b"no checksum"),
        "bad checksum": (tar([(name, bytes(wrong)), right]), b"checksum of what arrived"),
        "damaged before it was sent": (parcel(name, bytes(wrong)), b"is bad at"),
        "short": (parcel(name, content[:1 << 20]), b"bytes instead of"),
        "empty": (parcel(name, b""), b"empty"),
        "another segment": (parcel(f"{name[:-1]}{'0' if name[-1] != '0' else '1'}", content), b"another segment"),
        "strange name": (parcel("passwd", content), b"no WAL file has"),
        "path": (parcel(f"../../{name}", content), b"no WAL file has"),
        "link": (tar([link, right]), b"other than a file"),
        "hard link": (tar([hard, right]), b"other than a file"),
        "several": (tar([(name, content), ("00000002.history", b"1\t0/1\n"), right]), b"several"),
    }


def test_nothing_is_stored_of_what_is_refused(lab):
    name, streams = refused(lab)
    before = names_in(lab, "errors")
    for what, (stream, reason) in streams.items():
        done = put(lab, stream)
        assert done.returncode == 1, f"{what}: {done.returncode} {done.stderr}"
        assert reason in done.stderr, f"{what}: {done.stderr}"
        assert names_in(lab, "incoming") == [], what
        assert names_in(lab, "errors") == before, what
    assert not archived(lab, name)


def test_a_sender_that_dies_leaves_nothing_and_a_kill_leaves_nothing_that_counts(lab):
    name, content = segment(lab.primary)
    whole = parcel(name, content)
    argv = [os.path.join(processes.BIN, "cofferctl"), "--config", lab.config, "put-wal", "main"]

    def begin():
        process = subprocess.Popen(processes.AS_USER + argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                                   env=lab.environment())
        process.stdin.write(whole[:len(whole) // 2])
        process.stdin.flush()
        waiting.until(lambda: names_in(lab, "incoming"), "it has begun", processes=[process])
        return process

    sender = begin()
    sender.communicate(timeout=60)
    assert sender.returncode == 1
    assert names_in(lab, "incoming") == []
    killed = begin()
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    (left,) = names_in(lab, "incoming")
    assert left.startswith(".")
    assert not archived(lab, name)
    assert put(lab, whole).returncode == 0
    lab.wait_archived("main", name)
    os.unlink(lab.path("main", "incoming", left))
    settle(lab, name)


def test_a_full_disk_refuses_and_keeps_nothing(lab):
    name, content = segment(lab.primary)
    disk = Disk(os.path.join(lab.directory, "disk"), "ext4", 32)
    try:
        small = Box(os.path.join(lab.directory, "small"))
        small.add_server("main", lab.primary, **SETTINGS, incoming_wals_directory=os.path.join(disk.mount_point, "incoming"))
        processes.make_directory(os.path.join(disk.mount_point, "incoming"))
        disk.fill(leave=1 << 20)
        done = put(small, parcel(name, content))
        assert done.returncode == 1
        assert b"No space left" in done.stderr
        assert os.listdir(os.path.join(disk.mount_point, "incoming")) == []
        disk.make_room()
        assert put(small, parcel(name, content)).returncode == 0
        assert os.listdir(os.path.join(disk.mount_point, "incoming")) == [name]
    finally:
        disk.unmount()


def test_the_same_file_by_many_at_once_is_stored_once(lab):
    name, content = segment(lab.primary)
    stream = os.path.join(lab.directory, "stream")
    with open(stream, "wb") as file:
        file.write(parcel(name, content))
    argv = [os.path.join(processes.BIN, "cofferctl"), "--config", lab.config, "put-wal", "main"]
    senders = []
    for _ in range(6):
        with open(stream, "rb") as source:
            senders.append(subprocess.Popen(processes.AS_USER + argv, stdin=source, cwd="/", env=lab.environment()))
    assert [sender.wait(timeout=120) for sender in senders] == [0] * 6
    settle(lab, name)
    assert content_of(lab, name) == content


def test_its_test_says_whether_wal_would_be_taken(lab):
    done = put(lab, b"", "--test")
    assert (done.returncode, done.stdout) == (0, b"Ready to accept WAL files for the server main\n")
    assert put(lab, b"", "-t", server="other").returncode == 1
    assert put(lab, b"", "--unknown").returncode == 2
    lab.add_server("closed", lab.primary, **(SETTINGS | {"archiver": "off", "streaming_archiver": "on"}))
    done = put(lab, b"", "-t", server="closed")
    assert done.returncode == 1
    assert b"archiver = on" in done.stderr
    os.unlink(os.path.join(lab.servers_directory, "closed.conf"))


def test_another_systems_wal_is_refused_while_its_server_still_has_it(lab):
    lab.cofferctl("check", "main", check=False)
    stranger = Postgres(os.path.join(lab.directory, "stranger")).create(wal_keep_size="1GB").start()
    name, content = segment(lab.primary)
    assert put(lab, parcel(name, content)).returncode == 0
    settle(lab, name)
    name, content = segment(stranger)
    stranger.kill()
    done = put(lab, parcel(name, content))
    assert done.returncode == 1
    assert b"system identifier" in done.stderr
    assert not [each for each in names_in(lab, "errors") if each.startswith(name)]


def test_memory_does_not_grow_with_the_size_of_segments(lab):
    large = Postgres(os.path.join(lab.directory, "large")).create(wal_segment_mb=64, wal_keep_size="1GB").start()
    name, content = segment(large)
    large.kill()
    box = Box(os.path.join(lab.directory, "box-of-large"))
    box.add_server("main", large, **SETTINGS)
    processes.make_directory(box.path("main"))
    bounded = ["prlimit", f"--data={32 << 20}", "--"]  # of what is a process's own; the file itself is the kernel's
    assert put(box, parcel(name, b"x" + content[1:]), enter=bounded).returncode == 1
    assert put(box, parcel(name, gzip.compress(content, 1)), enter=bounded).returncode == 0
    os.unlink(box.path("main", "incoming", name))
    done = put(box, parcel(name, content), enter=bounded)
    assert done.returncode == 0, done.stderr
    assert os.listdir(box.path("main", "incoming")) == [name]
