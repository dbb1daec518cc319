"""A long chain of backups, of which the older ones go in any order; and the same with processes killed and disks full."""
import os
import random
import signal

import pytest

from lib import pgroots, waiting
from lib.box import Box
from lib.postgres import Postgres
from test_images import content, data, extra, protect, rows_right_after, verify

GENERATIONS = 20
# Each version with another way to share files. Those that summarize WAL send what has changed.
WAYS = {15: ("ext4", "full"), 17: ("btrfs", "incremental"), 18: ("xfs", "incremental")}
# Made anew whenever a server starts, or different in each backup.
OF_THE_SERVER_ONLY = ("postmaster.", "pg_internal.init", "pg_control", "backup_label", "backup_manifest", "current_logfiles")
RELATIONS = ("base", "global", "pg_xact", "pg_multixact", "pg_commit_ts", "pg_filenode.map", "PG_VERSION")


def loaded(place, version, scale=1):
    server = Postgres(os.path.join(place, "primary"), version)
    server.create(autovacuum="off", **({"summarize_wal": "on"} if version >= 17 else {})).start()
    server.pgbench("-i", "-q", "-s", scale)
    return server


def touch(server, chance):
    """A few pages here and there, one relation that goes and one that comes."""
    first = chance.randrange(99_000)
    server.query(f"update pgbench_accounts set abalance = abalance + 1 where aid between {first} and {first + 300}")
    server.query("insert into pgbench_history (tid, bid, aid, delta) select n, 1, n, n from generate_series(1, 500) n")
    server.query("drop table if exists passing")
    server.query(f"create table passing as select n from generate_series(1, {chance.randrange(20_000)}) n")
    server.query("checkpoint")


def relations(directory):
    """Files that a server at rest and its last backup have in common."""
    return {name: digest for name, (_, digest) in content(directory).items()
            if name.split("/")[0] in RELATIONS and not os.path.basename(name).startswith(OF_THE_SERVER_ONLY)}


@pytest.mark.parametrize("version", pgroots.VERSIONS, ids=lambda v: f"pg{v}")
def test_each_of_twenty_generations_is_whole_while_older_ones_go(place, disk, version):
    kind, way = WAYS[version]
    chance = random.Random(version)
    volume = disk(kind, 3000, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    server = loaded(place, version)
    protect(box, server)
    known, rows = {}, {}
    counts = "select (select sum(abalance) from pgbench_accounts), (select count(*) from pgbench_history), (select count(*) from passing)"
    for generation in range(GENERATIONS):
        touch(server, chance)
        backup = box.backup("main")
        known[backup], rows[backup] = content(data(box, backup)), server.query(counts)
        assert generation == 0 or extra(box, backup)["way"] == way
        if len(known) > 4 and chance.random() < 0.8:
            gone = chance.choice(sorted(known)[:-1])
            box.cofferctl("delete", "main", gone)
            known.pop(gone)
    box.wait_space_freed("main")
    assert sorted(os.listdir(box.path("main", "base"))) == sorted(known)
    for backup, files in known.items():
        assert content(data(box, backup)) == files, f"{backup} is not what it was"
        verify(box, backup, version)
        box.cofferctl("verify-backup", "main", backup)
    for backup in chance.sample(sorted(known)[:-1], 2):
        assert rows_right_after(box, backup, os.path.join(place, f"at-{backup[-6:]}"), counts, version) == rows[backup]
    for _ in range(2):  # leaves no hint to be set by whoever reads next
        server.query("vacuum (freeze)")
    server.query("checkpoint")
    last = box.backup("main")
    server.stop()
    ours, theirs = relations(data(box, last)), relations(server.data)
    assert len(theirs) > 500 and ours == theirs


STEPS = ["job.backup.cloned", "job.backup.copying", "job.backup.copied", "job.backup.verified",
         "job.backup.synced", "job.backup.recorded", "catalogue.save.barman:2"]


@pytest.mark.parametrize(("kind", "version"), [("ext4", 15), ("btrfs", 18), ("xfs", 17)])
def test_killed_at_any_step_of_a_backup_the_one_before_is_what_it_was(place, disk, kind, version):
    volume = disk(kind, 1500, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    server = loaded(place, version)
    protect(box, server)
    first, chance = box.backup("main"), random.Random(kind)
    before = content(data(box, first))
    for step in STEPS:
        touch(server, chance)
        done = box.job("backup", "main", kill_point=step, check=False)
        assert done.returncode == -signal.SIGKILL, f"{step}: {done.returncode}: {done.stdout}{done.stderr}"
        backup = box.backup("main")
        verify(box, backup, version)
        assert content(data(box, first)) == before, f"{step}: written into the earlier image"
    counts = "select (select sum(abalance) from pgbench_accounts), (select count(*) from passing)"
    assert rows_right_after(box, backup, os.path.join(place, "restored"), counts, version) == server.query(counts)


@pytest.mark.parametrize(("kind", "version"), [("ext4", 15), ("btrfs", 18), ("xfs", 17)])
def test_a_disk_that_fills_fails_a_backup_and_harms_no_other(place, disk, kind, version):
    volume = disk(kind, 700, kind)
    box = Box(os.path.join(place, "box"))
    images = os.path.join(volume.mount_point, "base")
    server = loaded(place, version)
    protect(box, server, basebackups_directory=images)
    first, chance = box.backup("main"), random.Random(kind)
    before = content(os.path.join(images, first, "data"))
    assert before
    failures = 0
    for room in (0, 1, 4):
        # More than there is room for; but a file system of copies may find some more.
        server.query(f"create table filling_{room} as select repeat(md5(n::text), 30) as t from generate_series(1, 40000) n")
        touch(server, chance)
        volume.fill(leave=room << 20)
        done = box.job("backup", "main", check=False)
        failures += done.returncode
        assert done.returncode == 0 or "no space" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
        assert content(os.path.join(images, first, "data")) == before
        left = [each for each in os.listdir(images) if os.path.exists(os.path.join(images, each, "data"))]
        assert left == [first] or done.returncode == 0, "half a backup fills the disk"
        assert {box.backup_info("main", each)["status"] for each in box.backup_ids("main")} <= {"DONE", "FAILED"}
        volume.make_room()
        if done.returncode == 0:
            box.cofferctl("delete", "main", "latest")
            box.wait_space_freed("main")
    assert failures
    backup = box.backup("main")
    pgroots.run(version, "pg_verifybackup", "--exit-on-error", "--no-parse-wal", os.path.join(images, backup, "data"))
    assert content(os.path.join(images, first, "data")) == before


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs"])
def test_a_backup_can_be_deleted_on_a_full_disk(place, disk, kind):
    """It is what makes room."""
    volume = disk(kind, 700, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    server = loaded(place, 15)
    protect(box, server)
    first = box.backup("main")
    server.query("create table bigger as select repeat(md5(n::text), 30) as t from generate_series(1, 20000) n")
    second = box.backup("main")
    server.stop()
    volume.fill()
    box.cofferctl("delete", "main", second)
    box.wait_space_freed("main")
    waiting.until(lambda: volume.free() > 8 << 20, "the space is there again", 60)
    assert box.backup_ids("main") == [first]
