"""A restore onto a directory that holds the cluster already ends as a fresh one, and is never half of one."""
import json
import os
import shutil
import signal
import stat

import pytest

from lib import judge, processes, trees
from lib.damage import flip
from lib.postgres import Postgres

SCALE = 4
ACCOUNTS = SCALE * 100000


@pytest.fixture
def protected(place, primary, box):
    """A server with a tablespace and a backup of it, then gone: what is held does not change any more."""
    space = processes.make_directory(os.path.join(place, "space"))
    primary.query(f"create tablespace fast location '{space}'")
    primary.pgbench("-i", "-q", "-s", SCALE)
    primary.query("create table spaced tablespace fast as select n from generate_series(1, 30000) n")
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.backup = box.backup("main")
    primary.query("update pgbench_tellers set tbalance = 7")
    for _ in range(2):
        box.wait_archived("main", primary.switch_wal())
    primary.kill()
    box.stop()
    os.rename(space, space + ".gone")
    return primary


def fresh(place, box, backup, name):
    return box.restore("main", backup, os.path.join(place, name), "--tablespace", f"fast:{os.path.join(place, name, 'fast')}")


def delta(place, box, backup, name, *options, **more):
    directory = os.path.join(place, name)
    return box.job("restore", "main", backup, os.path.join(directory, "data"), "--tablespace",
                   f"fast:{os.path.join(directory, 'fast')}", "--delta-restore", "--json", *options, **more)


def live(restored):
    """Runs it for a while, so that it is something else than what was restored."""
    restored.start()
    judge.wait_promoted(restored)
    restored.query("create table later as select n from generate_series(1, 50000) n")
    restored.query("update pgbench_accounts set abalance = 1 where aid % 5000 = 0")
    restored.query("drop table pgbench_branches")
    restored.query("truncate spaced")
    restored.query("create database another")
    restored.query("alter system set work_mem = '9MB'")
    restored.stop()
    return restored


def require_as_fresh(place, box, backup, name):
    fresh(place, box, backup, "reference")
    link = os.path.join("pg_tblspc", os.listdir(os.path.join(place, "reference", "data", "pg_tblspc"))[0])
    trees.require_equal(os.path.join(place, "reference", "data"), os.path.join(place, name, "data"), besides=[link])
    trees.require_equal(os.path.join(place, "reference", "fast"), os.path.join(place, name, "fast"))
    assert os.readlink(os.path.join(place, name, "data", link)) == os.path.join(place, name, "fast")


def require_whole(restored):
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from pgbench_accounts where abalance = 0") == ACCOUNTS
    assert restored.value("select count(*) from spaced") == 30000
    assert restored.value("select min(tbalance) from pgbench_tellers") == 7
    judge.verify_running(restored)
    restored.stop()


def test_a_delta_restore_ends_as_a_fresh_one_and_writes_little(place, protected, box):
    restored = live(fresh(place, box, protected.backup, "used"))
    accounts = os.path.join(restored.data, "base")
    before = {os.path.join(d, f): os.stat(os.path.join(d, f)).st_ino for d, _, names in os.walk(accounts) for f in names}
    report = json.loads(delta(place, box, protected.backup, "used").stdout)
    told = report["main"]["delta"]
    assert told["read"] == told["equal"] + told["written"]
    assert 0 < told["written"] < told["read"] / 3, told
    assert told["files_removed"] > 20 and told["removed"] > 16 << 20, told  # of the new database, and old WAL
    kept = [path for path, inode in before.items() if os.path.exists(path) and os.stat(path).st_ino == inode]
    assert len(kept) > 200, "the files of the directory were replaced"
    require_as_fresh(place, box, protected.backup, "used")
    require_whole(restored)


def test_without_the_option_or_with_another_cluster_it_is_refused(place, protected, box):
    restored = fresh(place, box, protected.backup, "used")
    before = trees.picture(restored.data)
    refused = box.job("restore", "main", protected.backup, restored.data, check=False)
    assert refused.returncode == 1 and "not empty" in refused.stderr and "--delta-restore" in refused.stderr
    refused = delta(place, box, protected.backup, "used", "--no-delta-restore", check=False)
    assert refused.returncode == 1
    assert trees.picture(restored.data) == before
    other = Postgres(os.path.join(place, "other")).create()
    refused = delta(place, box, protected.backup, "other", check=False)
    assert refused.returncode == 1 and "another cluster" in refused.stderr
    os.unlink(os.path.join(other.data, "global", "pg_control"))
    refused = delta(place, box, protected.backup, "other", check=False)
    assert refused.returncode == 1 and "no data directory" in refused.stderr
    for inside in (box.path("main", "base", protected.backup), box.path("main")):
        refused = box.job("restore", "main", protected.backup, os.path.join(inside, "data"), "--delta-restore", check=False)
        assert refused.returncode == 1 and "catalogue" in refused.stderr


def test_a_tablespace_of_somebody_else_is_refused(place, protected, box):
    fresh(place, box, protected.backup, "used")
    fresh(place, box, protected.backup, "neighbour")
    before = trees.picture(os.path.join(place, "neighbour"))
    refused = box.job("restore", "main", protected.backup, os.path.join(place, "used", "data"), "--delta-restore",
                      "--tablespace", f"fast:{os.path.join(place, 'neighbour', 'fast')}", check=False)
    assert refused.returncode == 1 and "not the destination's own" in refused.stderr
    assert trees.picture(os.path.join(place, "neighbour")) == before


def test_the_tablespaces_of_a_copied_directory_are_left_to_the_original(place, protected, box):
    restored = fresh(place, box, protected.backup, "used").start()
    judge.wait_promoted(restored)
    processes.make_directory(os.path.join(place, "copy"))
    processes.run(processes.AS_USER + ["cp", "-a", restored.data, os.path.join(place, "copy", "data")])
    os.unlink(os.path.join(place, "copy", "data", "postmaster.pid"))
    os.symlink(os.path.join(place, "used", "fast"), os.path.join(place, "space"))  # the place at the time of the backup
    onto_copy = lambda *options: box.job("restore", "main", protected.backup, os.path.join(place, "copy", "data"),
                                         "--delta-restore", *options, check=False)
    refused = onto_copy()
    assert refused.returncode == 1 and "if the destination is a copy" in refused.stderr, refused.stderr
    named = "--tablespace", f"fast:{os.path.join(place, 'used', 'fast')}"
    refused = onto_copy(*named)
    assert refused.returncode == 1 and "a server that runs uses the place" in refused.stderr, refused.stderr
    assert restored.value("select count(*) from spaced") == 30000
    restored.stop()
    assert onto_copy(*named, "--dry-run").returncode == 0
    assert onto_copy("--tablespace", f"fast:{os.path.join(place, 'copy', 'fast')}").returncode == 0
    require_as_fresh(place, box, protected.backup, "copy")
    restored.start()
    assert restored.value("select count(*) from spaced") == 30000
    restored.stop()


def test_what_is_mounted_in_the_directory_is_refused(place, protected, box):
    """Another part of the same file system, where the backup has a directory as well."""
    restored = fresh(place, box, protected.backup, "used")
    outside = processes.make_directory(os.path.join(place, "outside"))
    processes.write(os.path.join(outside, "victim"), "precious")
    for folder in ("base", "pg_stat_tmp"):
        mounted = os.path.join(restored.data, folder)
        processes.run(["mount", "--bind", outside, mounted])
        try:
            refused = delta(place, box, protected.backup, "used", check=False)
        finally:
            processes.run(["umount", mounted])
        assert refused.returncode == 1 and "is mounted in the destination" in refused.stderr, refused.stderr
        assert mounted in refused.stderr
        assert os.listdir(outside) == ["victim"]
    delta(place, box, protected.backup, "used")
    require_as_fresh(place, box, protected.backup, "used")


def test_a_running_server_is_never_touched(place, protected, box):
    restored = fresh(place, box, protected.backup, "used").start()
    judge.wait_promoted(restored)
    refused = delta(place, box, protected.backup, "used", check=False)
    assert refused.returncode == 1 and "a server runs" in refused.stderr
    # Nor one whose pid file is gone.
    with open(os.path.join(restored.data, "postmaster.pid"), encoding="utf-8") as file:
        pid = file.read()
    os.unlink(os.path.join(restored.data, "postmaster.pid"))
    refused = delta(place, box, protected.backup, "used", check=False)
    assert refused.returncode == 1 and "works in it" in refused.stderr
    processes.write(os.path.join(restored.data, "postmaster.pid"), pid)
    assert restored.value("select count(*) from pgbench_accounts") == ACCOUNTS
    restored.kill()
    os.chmod(os.path.join(restored.data, "postmaster.pid"), 0o600)
    delta(place, box, protected.backup, "used")  # a pid file that was left is no server
    require_whole(restored)


def test_what_cannot_be_restored_leaves_the_old_server_whole(place, protected, box):
    restored = live(fresh(place, box, protected.backup, "used"))
    before = trees.picture(restored.data)
    plan = json.loads(delta(place, box, protected.backup, "used", "--dry-run").stdout)
    first = plan["main"]["wal"][0]["path"]
    flip(first, os.path.getsize(first) // 2)  # found when it is placed, the old server being aside already
    refused = delta(place, box, protected.backup, "used", check=False)
    assert refused.returncode == 1 and os.path.basename(first) in refused.stderr, refused.stderr
    assert trees.picture(restored.data) == before
    restored.start()
    assert restored.value("select count(*) from later") == 50000


@pytest.mark.parametrize("as_root", [False, True], ids=["user", "root"])
def test_what_was_planted_in_the_directory_harms_nobody(place, protected, box, as_root):
    restored = live(fresh(place, box, protected.backup, "used"))
    outside = processes.make_directory(os.path.join(place, "outside"))
    victim = os.path.join(outside, "victim")
    processes.write(victim, "precious")
    tables = os.path.join(restored.data, "base", "1")
    names = sorted(n for n in os.listdir(tables) if n.isdigit())[:8]
    paths = [os.path.join(tables, name) for name in names]
    os.unlink(paths[0])
    os.symlink(victim, paths[0])
    os.unlink(paths[1])
    os.mkfifo(paths[1])
    os.unlink(paths[2])
    processes.make_directory(paths[2])
    processes.write(os.path.join(paths[2], "within"), "x")
    os.chmod(paths[3], 0o400)
    linked = os.path.join(outside, "linked")
    os.link(paths[4], linked)
    with open(paths[4], "r+b") as file:
        file.write(b"another copy of the table, made by cp -al")
    with open(linked, "rb") as file:
        linked_before = file.read()
    os.symlink(outside, os.path.join(restored.data, "log"))
    shutil.move(os.path.join(restored.data, "pg_wal"), os.path.join(outside, "pg_wal"))
    os.symlink(os.path.join(outside, "pg_wal"), os.path.join(restored.data, "pg_wal"))
    shutil.move(os.path.join(restored.data, "pg_xact"), os.path.join(outside, "pg_xact"))
    os.symlink(os.path.join(outside, "pg_xact"), os.path.join(restored.data, "pg_xact"))
    for path in (paths[1], paths[4], linked):
        os.chown(path, processes.UID, processes.GID)
    unreadable = processes.make_directory(os.path.join(restored.data, "base", "unreadable"))
    processes.write(os.path.join(unreadable, "within"), "x")
    os.chmod(unreadable, 0)
    os.chmod(tables, 0o500)
    before = trees.picture(outside)
    if as_root:
        argv = [os.path.join(processes.BIN, "coffer-job"), "restore", "main", protected.backup, restored.data, "--tablespace",
                f"fast:{os.path.join(place, 'used', 'fast')}", "--delta-restore", "--config", box.config]
        processes.run(argv, env=box.environment())
    else:
        delta(place, box, protected.backup, "used")
    assert trees.picture(outside) == before
    with open(linked, "rb") as file:
        assert file.read() == linked_before
    assert stat.S_ISDIR(os.lstat(os.path.join(restored.data, "pg_wal")).st_mode)
    require_as_fresh(place, box, protected.backup, "used")
    require_whole(restored)


@pytest.mark.parametrize("step", ["begin", "wal", "surplus", "tree", "settings", "sync", "control"])
def test_one_that_was_cut_off_does_not_start_and_is_run_again(place, protected, box, step):
    restored = live(fresh(place, box, protected.backup, "used"))
    done = delta(place, box, protected.backup, "used", kill_point=f"job.restore.{step}", check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    restored.start(wait=False)
    restored.process.wait(timeout=30)
    assert restored.process.returncode != 0
    delta(place, box, protected.backup, "used")
    require_as_fresh(place, box, protected.backup, "used")
    require_whole(restored)


def test_a_fresh_restore_that_was_cut_off_is_completed(place, protected, box):
    directory = os.path.join(place, "used")
    processes.make_directory(directory)
    done = box.job("restore", "main", protected.backup, os.path.join(directory, "data"), "--tablespace",
                   f"fast:{os.path.join(directory, 'fast')}", kill_point="job.restore.tree", check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    report = json.loads(delta(place, box, protected.backup, "used").stdout)
    assert report["main"]["delta"]["written"] == 0
    require_as_fresh(place, box, protected.backup, "used")


def test_room_is_needed_for_what_grows_only(place, protected, box, disk):
    restored = fresh(place, box, protected.backup, "measured")
    size = sum(os.lstat(os.path.join(d, f)).st_blocks * 512 for d, _, names in os.walk(restored.data) for f in names)
    volume = disk("ext4", 2 * (size >> 20) + 160, "volume")
    directory = os.path.join(volume.mount_point, "used")
    there = box.restore("main", protected.backup, directory, "--tablespace", f"fast:{os.path.join(directory, 'fast')}")
    volume.fill(leave=size * 2 // 3)
    refused = box.job("restore", "main", protected.backup, os.path.join(volume.mount_point, "second"), "--tablespace",
                      f"fast:{os.path.join(volume.mount_point, 'second-fast')}", check=False)
    assert refused.returncode == 1 and "not enough room" in refused.stderr
    box.job("restore", "main", protected.backup, there.data, "--tablespace", f"fast:{os.path.join(directory, 'fast')}",
            "--delta-restore")
    require_whole(there)
