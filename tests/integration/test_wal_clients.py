"""coffer-wal-restore on a database host: one connection through a real sshd, and segments that wait before recovery asks."""
import filecmp
import os
import shutil
import signal
import subprocess

import pytest

from lib import judge, processes, waiting
from lib.box import Box
from lib.damage import flip
from lib.postgres import Postgres
from lib.wal_clients import WalHost, children, end

SEGMENTS = 12
AHEAD = 3


class Scene:
    """A box with a backup and twelve archived segments behind it, its services gone; what a segment must be, beside it."""

    def __init__(self, directory):
        self.directory = processes.make_directory(directory)
        primary = Postgres(os.path.join(directory, "primary")).create().start()
        self.box = Box(os.path.join(directory, "box"))
        self.box.add_server("main", primary, compression="zstd")
        self.box.start("streamer", "archiver")
        self.box.wait_streaming(primary)
        primary.query("create table steps (n int)")
        self.backup = self.box.backup("main")
        self.names = []
        for n in range(SEGMENTS):
            primary.query("insert into steps values (%s)", n)
            self.names.append(primary.switch_wal())
        primary.query("insert into steps values (%s)", SEGMENTS)
        self.box.wait_durable(primary)
        self.box.wait_archived("main", self.names[-1])
        self.box.stop()
        primary.stop("immediate")
        self.plain = processes.make_directory(os.path.join(directory, "plain"))
        for name in self.names:
            self.box.cofferctl("get-wal", "-o", self.plain, "main", name)
        self.host = WalHost(os.path.join(directory, "host"), self.box.config)

    def archived(self, name):
        return self.box.path("main", "wals", name[:16], name)

    def same(self, name, path):
        return filecmp.cmp(os.path.join(self.plain, name), path, shallow=False)


@pytest.fixture(scope="module")
def scene(base):
    yield Scene(os.path.join(base, "clients"))
    processes.end_all()


@pytest.fixture
def host(scene):
    yield scene.host
    scene.host.end_resident()
    shutil.rmtree(scene.host.spool, ignore_errors=True)


@pytest.fixture
def target(scene, request):
    """Where a call is to put its file, in a directory of the test's own."""
    folder = processes.make_directory(os.path.join(scene.directory, "targets"))
    yield os.path.join(folder, "RECOVERYXLOG")
    shutil.rmtree(folder)


def left_in(path):
    return os.listdir(os.path.dirname(path))


@pytest.mark.parametrize("program", ["coffer-wal-restore", "coffer-wal-archive"])
def test_the_clients_need_no_library(program):
    told = processes.run(["ldd", os.path.join(processes.BIN, program)], check=False)
    assert "not a dynamic executable" in told.stderr + told.stdout


def test_the_package_holds_programs_that_run(scene):
    made = os.path.join(scene.directory, "package")
    package = processes.run([os.path.join(processes.TOP, "tools", "client-package"), processes.BIN, made]).stdout.strip()
    assert os.listdir(made) == [os.path.basename(package)]
    assert processes.run(["dpkg-deb", "-f", package, "Depends"]).stdout.strip() == "openssh-client"
    root = os.path.join(made, "root")
    processes.run(["dpkg-deb", "-x", package, root])
    for program in ("coffer-wal-restore", "coffer-wal-archive"):
        # In a root that holds nothing else, not even a loader.
        told = processes.run(["chroot", root, f"/usr/bin/{program}", "--version"]).stdout
        assert told == f"{program} {processes.run(['dpkg-deb', '-f', package, 'Version']).stdout}"


def test_serve_wal_answers_what_it_can_and_ends_with_its_input(scene):
    def say(text, *options):
        argv = [os.path.join(processes.BIN, "cofferctl"), "-c", scene.box.config, "serve-wal", *options]
        return subprocess.run(processes.AS_USER + argv, input=text, capture_output=True, timeout=60,
                              env=processes.environment())

    names = scene.names
    done = say(f"hello 1\npeek 3 {names[0]}\nnonsense\nget ../../etc/passwd\n".encode(), "main")
    lines = done.stdout.decode().splitlines()
    assert lines[:5] == ["coffer-wal 1", *[f"name {name}" for name in names[:3]], "done"]
    assert [line.split()[:3] for line in lines[5:]] == [["error", "-", "request"], ["error", "../../etc/passwd", "request"]]
    assert done.returncode == 0
    done = say(b"x" * 5000, "main")
    assert done.returncode == 2 and done.stdout.startswith(b"error - request a line is too long")
    done = say(b"hello 1\n", "unknown")
    assert done.returncode == 1 and done.stdout.startswith(b"error - failed") and b"unknown" in done.stderr
    assert say(b"").returncode == 2


def test_serve_wal_ends_when_nobody_asks(scene):
    argv = [os.path.join(processes.BIN, "cofferctl"), "-c", scene.box.config, "serve-wal", "--idle", "1", "main"]
    with subprocess.Popen(processes.AS_USER + argv, stdin=subprocess.PIPE, env=processes.environment()) as quiet:
        assert quiet.wait(timeout=60) == 0


def test_one_segment_is_fetched_whole(scene, host, target):
    done = host.restore(scene.names[0], target)
    assert done.returncode == 0, done.stderr
    assert scene.same(scene.names[0], target) and left_in(target) == ["RECOVERYXLOG"]


@pytest.mark.parametrize("form", ["plain", "gzip", "unproven"])
def test_a_segment_is_the_same_however_it_is_stored(scene, host, target, form):
    name, archived = scene.names[1], scene.archived(scene.names[1])
    kept = archived + ".kept"
    os.rename(archived, kept)
    try:
        plain = os.path.join(scene.plain, name)
        if form == "unproven":
            shutil.copyfile(kept, archived)
        elif form == "plain":
            shutil.copyfile(plain, archived)
        else:
            with open(archived, "wb") as out:
                subprocess.run(["gzip", "-c", plain], stdout=out, check=True)
        os.chmod(archived, 0o644)
        done = host.restore(name, target)
        assert done.returncode == 0, done.stderr
        assert scene.same(name, target)
    finally:
        os.replace(kept, archived)


def test_what_is_not_held_is_told_as_the_end_of_the_log(scene, host, target):
    for name in ("00000009.history", "0000000100000FFF00000001"):
        for options in ((), ("--stop-at-hole", "-P"), ("-p", AHEAD)):
            done = host.restore(name, target, *options)
            assert done.returncode == 1 and "not held" in done.stderr, (name, options, done.stderr)
    assert left_in(target) == []


def test_the_unfinished_segment_is_given_only_when_asked_for(scene, host, target):
    streaming = os.listdir(scene.box.path("main", "streaming"))
    (partial,) = [name[:24] for name in streaming if name.endswith(".partial")]
    assert host.restore(partial, target).returncode == 1
    for options in (("-P",), ("-P", "-p", AHEAD)):
        assert host.restore(partial, target, *options).returncode == 0
        assert os.path.getsize(target) == 16 << 20
        os.unlink(target)


def test_postgres_stops_only_where_it_should(scene, host, target):
    nobody = ("--port", "1")
    assert host.restore(scene.names[0], target, *nobody).returncode == 2
    assert host.restore(scene.names[0], target, "--stop-at-hole", *nobody).returncode == 126
    assert host.restore(scene.names[0], target, "-p", AHEAD, *nobody).returncode == 2
    assert host.restore(scene.names[0], target, server="unknown").returncode == 2
    assert host.restore("pg_control", target).returncode == 3
    assert host.restore(scene.names[0], "/proc/self/none/RECOVERYXLOG").returncode == 3
    assert host.restore(scene.names[0], target, "--no-such-option").returncode == 2
    assert host.restore(scene.names[0], target, "--no-such-option", "--stop-at-hole").returncode == 126
    assert host.restore(scene.names[0], target, host="-oProxyCommand=false").returncode == 2
    assert left_in(target) == []


def test_a_test_of_the_connection_says_so(scene, host, target):
    assert host.restore(scene.names[0], target, "-t").returncode == 0
    done = host.restore(scene.names[0], target, "-t", "--port", "1")
    assert done.returncode == 2 and "HINT" in done.stderr
    assert left_in(target) == []


@pytest.mark.parametrize("options", [(), ("-p", AHEAD)])
def test_a_damaged_segment_is_never_given(scene, host, target, options):
    archived = scene.archived(scene.names[4])
    kept = archived + ".kept"
    processes.run(["cp", "-a", archived, kept])
    try:
        flip(archived, os.path.getsize(archived) // 2)
        done = host.restore(scene.names[4], target, *options)
        assert done.returncode == 126 and "damaged" in done.stderr, done.stderr
        assert left_in(target) == []
    finally:
        os.replace(kept, archived)


@pytest.mark.parametrize("options", [(), ("-p", AHEAD)])
def test_a_hole_in_the_archive_is_not_the_end_of_the_log(scene, host, target, options):
    archived = scene.archived(scene.names[5])
    os.rename(archived, archived + ".kept")
    try:
        assert host.restore(scene.names[5], target, *options).returncode == 1
        done = host.restore(scene.names[5], target, "--stop-at-hole", *options)
        assert done.returncode == 126 and scene.names[6] in done.stderr
        assert left_in(target) == []
    finally:
        os.rename(archived + ".kept", archived)


def test_a_whole_recovery_needs_one_connection(scene, host, target):
    before = host.logins()
    for name in scene.names:
        done = host.restore(name, target, "-p", AHEAD)
        assert done.returncode == 0 and done.stderr == ""
        assert scene.same(name, target)
        os.unlink(target)
    assert host.logins() == before + 1


def test_the_read_ahead_stays_in_front(scene, host, target):
    for n in (0, 1, 2):
        assert host.restore(scene.names[n], target, "-p", AHEAD).returncode == 0
        assert host.wait_ahead(AHEAD) == scene.names[n + 1:n + 1 + AHEAD]


def test_the_read_ahead_follows_to_another_place(scene, host, target):
    for n in (7, 0, 5, 4, 4):
        assert host.restore(scene.names[n], target, "-p", AHEAD).returncode == 0
        assert scene.same(scene.names[n], target)
        other = "00000002" + scene.names[n][8:]
        assert host.restore(other, target, "-p", AHEAD).returncode == 1
    waiting.until(lambda: host.waiting() == [], "nothing is kept of the other timeline")


@pytest.mark.parametrize("how", ["short", "other bytes", "another file", "gone"])
def test_what_was_changed_in_the_spool_is_never_given(scene, host, target, how):
    assert host.restore(scene.names[0], target, "-p", AHEAD).returncode == 0
    host.wait_ahead(AHEAD)
    (folder,) = host.spools()
    spooled = os.path.join(folder, scene.names[1])
    if how == "short":
        os.truncate(spooled, 8 << 20)
    elif how == "other bytes":
        flip(spooled, 1 << 20)
    elif how == "another file":
        shutil.copy(spooled, spooled + ".new")
        flip(spooled + ".new", 1 << 20)
        os.replace(spooled + ".new", spooled)
    else:
        os.unlink(spooled)
    done = host.restore(scene.names[1], target, "-p", AHEAD)
    assert done.returncode == 0, done.stderr
    assert scene.same(scene.names[1], target)


def test_what_a_killed_read_ahead_left_is_never_given(scene, host, target):
    assert host.restore(scene.names[0], target, "-p", AHEAD).returncode == 0
    host.wait_ahead(AHEAD)
    (folder,) = host.spools()
    end(host.resident())
    for n in (1, 2, 3):
        flip(os.path.join(folder, scene.names[n]), 1 << 20)
    for n in (1, 2, 3):
        done = host.restore(scene.names[n], target, "-p", AHEAD)
        assert done.returncode == 0 and scene.same(scene.names[n], target)


def test_killed_at_any_moment_every_call_still_gives_the_right_file(scene, host, target):
    """The resident process and its ssh in turn, without waiting for what they are just doing."""
    for n, name in enumerate(scene.names):
        done = host.restore(name, target, "-p", AHEAD)
        assert done.returncode == 0, done.stderr
        assert scene.same(name, target)
        os.unlink(target)
        victims = [host.resident()] if n % 2 else children(host.resident())
        for victim in victims:
            end(victim)


def test_a_stopped_box_is_found_again(scene, host, target):
    assert host.restore(scene.names[0], target, "-p", AHEAD).returncode == 0
    host.wait_ahead(AHEAD)
    host.sshd.stop()
    for child in children(host.resident()):
        end(child)
    try:
        # What waits is given; what does not is no end of the log.
        for n in range(1, 1 + AHEAD):
            assert host.restore(scene.names[n], target, "-p", AHEAD).returncode == 0
        assert host.restore(scene.names[8], target, "-p", AHEAD, "--stop-at-hole").returncode == 126
    finally:
        host.sshd.start({"PATH": f"{processes.BIN}:/usr/bin:/bin"})
    assert host.restore(scene.names[8], target, "-p", AHEAD).returncode == 0
    assert scene.same(scene.names[8], target)


def test_two_recoveries_do_not_meet(scene, host, target):
    other = processes.make_directory(os.path.join(os.path.dirname(target), "other"))
    other = os.path.join(other, "RECOVERYXLOG")
    for n in range(3):
        assert host.restore(scene.names[n], target, "-p", AHEAD).returncode == 0
        assert host.restore(scene.names[n + 6], other, "-p", AHEAD).returncode == 0
        assert scene.same(scene.names[n], target) and scene.same(scene.names[n + 6], other)
    assert len(host.spools()) == 2


@pytest.fixture
def elsewhere():
    """A destination on another file system than /var/tmp."""
    folder = processes.make_directory(f"/dev/shm/coffer-{os.getpid()}")
    assert os.stat(folder).st_dev != os.stat("/var/tmp").st_dev
    yield os.path.join(folder, "RECOVERYXLOG")
    shutil.rmtree(folder)


def test_a_spool_on_another_file_system_does_too(scene, host, elsewhere):
    for name in scene.names[:4]:
        assert host.restore(name, elsewhere, "-p", AHEAD).returncode == 0
        assert scene.same(name, elsewhere) and left_in(elsewhere) == ["RECOVERYXLOG"]
    assert len(host.spools()) == 1


def test_without_a_spool_directory_one_is_made_beside_the_destination(scene, host, elsewhere):
    folder = os.path.join(os.path.dirname(elsewhere), ".coffer-wal-restore")
    before = host.logins()
    for name in scene.names[:4]:
        assert host.restore(name, elsewhere, "-p", AHEAD, spool=False).returncode == 0
        assert scene.same(name, elsewhere)
    assert sorted(left_in(elsewhere)) == [".coffer-wal-restore", "RECOVERYXLOG"] and host.logins() == before + 1
    (spool,) = os.listdir(folder)
    with open(os.path.join(folder, spool, "lock"), encoding="ascii") as lock:
        end(int(lock.read()))


def test_a_call_that_is_killed_leaves_nothing(scene, host, target):
    """As PostgreSQL does at its shutdown, in the middle of a file: the connection stands still."""
    argv = host.words("coffer-wal-restore", "box", "main", scene.names[0], target)
    slow = os.path.join(host.directory, "slow")
    processes.make_directory(slow)
    wrapper = os.path.join(slow, "ssh")
    processes.write(wrapper, f"#!/bin/sh\n{host.programs}/ssh \"$@\" | (head -c 200; touch {slow}/begun; exec sleep 60)\n")
    os.chmod(wrapper, 0o755)
    environment = processes.environment(PATH=f"{slow}:/usr/bin:/bin")
    with subprocess.Popen(processes.AS_USER + argv, env=environment, start_new_session=True) as call:
        waiting.until(lambda: os.path.exists(f"{slow}/begun"), "the file has begun to come", 60)
        os.killpg(call.pid, signal.SIGTERM)
        assert call.wait(timeout=60) == -signal.SIGTERM
    assert left_in(target) == []
    shutil.rmtree(slow)


def test_a_spool_that_others_can_write_is_not_used(scene, host, target):
    os.mkdir(host.spool, 0o777)
    os.chmod(host.spool, 0o777)
    done = host.restore(scene.names[0], target, "-p", AHEAD)
    assert done.returncode == 0 and "no read-ahead" in done.stderr
    assert scene.same(scene.names[0], target) and host.spools() == []


@pytest.mark.parametrize("options", [(), ("-p", "4")])
def test_a_recovery_through_ssh_loses_nothing(scene, host, options, request):
    directory = os.path.join(scene.directory, f"restored{len(options)}")
    restored = scene.box.restore("main", scene.backup, directory, "--get-wal")
    restored.configure(restore_command=host.restore_command("-P", "--stop-at-hole", *options))
    settings = os.path.join(restored.data, "postgresql.auto.conf")
    with open(settings, encoding="utf-8") as lines:
        rest = [line for line in lines if not line.startswith("restore_command")]
    processes.write(settings, "".join(rest))
    before = host.logins()
    try:
        restored.start()
        judge.wait_promoted(restored)
        assert restored.value("select array_agg(n order by n) from steps") == list(range(SEGMENTS + 1))
        if options:
            assert host.logins() == before + 1
            waiting.until(lambda: host.spools() == [], "the read-ahead ends with the recovery", 60)
    finally:
        restored.stop("immediate")
        shutil.rmtree(directory)


def test_a_read_ahead_ends_with_the_server_that_it_reads_for(scene, host, target):
    pid_file = os.path.join(os.path.dirname(target), "postmaster.pid")
    server = processes.start(processes.AS_USER + ["sleep", "600"], os.path.join(scene.directory, "sleep.log"))
    processes.write(pid_file, f"{server.pid}\n")
    argv = host.words("coffer-wal-restore", "-p", AHEAD, "--spool-dir", host.spool, "box", "main", scene.names[0], target)
    subprocess.run(processes.AS_USER + argv, env=host.environment(), cwd=os.path.dirname(target), check=True, timeout=60)
    resident = host.resident()
    server.send_signal(signal.SIGKILL)
    server.wait(timeout=30)
    waiting.until(lambda: not os.path.exists(f"/proc/{resident}"), "the read-ahead has ended", 30)
    assert host.spools() == []
