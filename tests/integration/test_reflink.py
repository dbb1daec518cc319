"""Restores on the file system of the backup: blocks are shared, and damage is found."""
import os

import psycopg2
import pytest

from lib import judge
from lib.box import Box
from lib.damage import flip

MEGABYTE = 1 << 20
MARK = "a row that is looked for on the bare disk: 5d8c7f0e2b"


def protect(box, primary):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    return box.backup("main")


@pytest.mark.parametrize("kind, megabytes", [("btrfs", 512), ("xfs", 512)])
def test_a_restore_on_one_file_system_shares_its_blocks(place, primary, disk, kind, megabytes):
    volume = disk(kind, megabytes, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    primary.pgbench("-i", "-q", "-s", "8")
    backup = protect(box, primary)
    os.sync()
    before = volume.free()
    restored = box.restore("main", backup, os.path.join(volume.mount_point, "restored"))
    os.sync()
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(os.path.join(restored.data, "base")) for f in files)
    assert size > 100 * MEGABYTE
    # The WAL is copied (it is decompressed), the data files are not.
    assert before - volume.free() < size / 2
    restored.start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from pgbench_accounts") == 800000
    restored.stop()


@pytest.fixture
def marked(primary):
    """A server with a row that is in no WAL from its next checkpoint on."""
    primary.query("create table marked as select %s as mark", MARK)
    primary.query("vacuum (freeze) marked")
    primary.query("checkpoint")
    primary.switch_wal()
    primary.query("checkpoint")
    return primary


def refused_by_postgres(restored):
    restored.start()
    judge.wait_promoted(restored)
    with pytest.raises(psycopg2.Error) as refusal:
        restored.query("select * from marked")
    restored.stop()
    return str(refusal.value)


@pytest.mark.parametrize("damage", ["flipped", "zeroed"])
def test_a_damaged_page_is_found_where_the_file_system_keeps_no_checksums(marked, disk, damage):
    volume = disk("xfs", 512, "xfs")
    box = Box(os.path.join(volume.mount_point, "box"))
    backup = protect(box, marked)
    path = marked.value("select pg_relation_filepath('marked')")
    if damage == "flipped":
        flip(box.path("main", "base", backup, "data", path), 5000)
    else:  # which PostgreSQL would take for a new page
        with open(box.path("main", "base", backup, "data", path), "r+b") as file:
            file.write(bytes(8192))
    done = box.job("restore", "main", backup, os.path.join(volume.mount_point, "never"), check=False)
    assert done.returncode != 0 and path in done.stderr
    assert "block 0" in done.stderr or damage == "zeroed"


def damage_on_disk(volume, text):
    """Changes text wherever it stands on the device, below the file system."""
    with open(volume.image, "rb") as image:
        device = image.read()
    at = device.find(text.encode())
    assert at >= 0, "not on the disk"
    while at >= 0:
        flip(volume.image, at)
        at = device.find(text.encode(), at + 1)


def test_a_block_that_btrfs_finds_damaged_is_never_served(place, marked, disk):
    volume = disk("btrfs", 512, "btrfs")
    box = Box(os.path.join(volume.mount_point, "box"))
    backup = protect(box, marked)
    box.stop()
    volume.detach()
    damage_on_disk(volume, MARK)
    volume.attach()
    restored = box.restore("main", backup, os.path.join(volume.mount_point, "restored"))
    assert "could not read block" in refused_by_postgres(restored)
    for options in (["--verify"], []):  # on the same file system; to another
        target = os.path.join(volume.mount_point if options else place, "never")
        done = box.job("restore", "main", backup, target, *options, check=False)
        assert done.returncode != 0 and marked.value("select pg_relation_filepath('marked')") in done.stderr
