"""Backups as images: each begins as a clone of the one before, costs what has changed, and stands alone."""
import errno
import hashlib
import json
import os

import pytest

from lib import judge, pgroots
from lib.box import Box

MEGABYTE = 1 << 20
KINDS = {"btrfs": "snapshot", "xfs": "reflink", "ext4": "hard link"}


def extra(box, backup):
    """What Coffer knows of a backup beyond Barman's record."""
    with open(box.path("main", "meta", f"{backup}-coffer.json"), encoding="utf-8") as file:
        return json.load(file)


def data(box, backup, *parts):
    return box.path("main", "base", backup, "data", *parts)


def content(directory):
    """Path, mode and SHA-256 of every file below."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = (os.stat(path).st_mode, hashlib.sha256(file.read()).hexdigest())
    return found


def verify(box, backup, version=15):
    pgroots.run(version, "pg_verifybackup", "--exit-on-error", "--no-parse-wal", data(box, backup))


def protect(box, primary, **settings):
    box.add_server("main", primary, **settings)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)


def rows_right_after(box, backup, directory, sql, version=15):
    """Of a restore that ends where the backup ends."""
    options = ["--target-immediate", "--target-action", "promote"]
    restored = box.restore("main", backup, directory, *options, version=version)
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    rows = restored.query(sql)
    judge.verify_running(restored)
    restored.stop()
    judge.verify_stopped(restored)
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_backup_costs_what_has_changed_and_needs_no_other(place, primary, disk, kind):
    volume = disk(kind, 900, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    primary.pgbench("-i", "-q", "-s", "12")
    primary.query("create table small as select 1 as n")
    protect(box, primary)
    first = box.backup("main")
    before = content(data(box, first))
    os.sync()
    free = volume.free()

    primary.query("update small set n = 2")
    primary.query("update pgbench_accounts set abalance = 1 where aid <= 1000")
    primary.query("checkpoint")
    second = box.backup("main")
    os.sync()
    size, known = int(box.backup_info("main", second)["size"]), extra(box, second)
    assert (known["base"], known["clone"], known["way"]) == (first, KINDS[kind], "full"), known
    assert "PostgreSQL 15" in known["way_reason"]
    assert known["bytes_received"] > size
    # Where only whole files are shared, a table that has changed is written whole; else pages are.
    accounts = os.path.getsize(data(box, second, primary.value("select pg_relation_filepath('pgbench_accounts')")))
    limit = MEGABYTE * 8 + (accounts * 1.2 if kind == "ext4" else 0)
    assert known["bytes_written"] < limit
    assert free - volume.free() < limit + 48 * MEGABYTE  # and the WAL of both backups
    assert f"image cloning: OK ({KINDS[kind]}" in box.cofferctl("check", "main", check=False).stdout
    assert f"Cloning of backups: {KINDS[kind]}" in " ".join(box.cofferctl("status", "main").stdout.split())
    shown = box.json("show-backup", "main", second)["main"]["image_information"]
    assert (shown["base"], shown["clone"], shown["written_bytes"]) == (first, KINDS[kind], known["bytes_written"])

    assert content(data(box, first)) == before, "a finished image was written to"
    for backup in (first, second):
        verify(box, backup)
    if kind == "btrfs":
        with pytest.raises(OSError) as refusal:
            open(data(box, first, "PG_VERSION"), "a", encoding="utf-8")
        assert refusal.value.errno == errno.EROFS
    rows = {backup: rows_right_after(box, backup, os.path.join(place, backup), "select n from small")
            for backup in (first, second)}
    assert rows == {first: [(1,)], second: [(2,)]}
    box.cofferctl("delete", "main", first)
    box.wait_space_freed("main")
    assert not os.path.exists(box.path("main", "base", first))
    verify(box, second)


def test_a_sealed_image_that_was_cut_off_is_discarded(primary, disk):
    """Where each backup is to have files of its own, what is left of an attempt goes, read-only subvolumes included."""
    box = Box(os.path.join(disk("btrfs", 900, "btrfs").mount_point, "box"))
    protect(box, primary, reuse_backup="off")
    box.job("backup", "main", kill_point="job.backup.synced", check=False)
    cut_off, = os.listdir(box.path("main", "base"))
    box.backup("main")
    assert box.backup_info("main", cut_off)["status"] == "FAILED"
    assert not os.path.exists(data(box, cut_off))


def test_a_damaged_note_about_an_attempt_costs_no_backup(primary, box):
    protect(box, primary)
    box.job("backup", "main", kill_point="job.backup.copied", check=False)
    cut_off, = os.listdir(box.path("main", "base"))
    with open(box.path("main", "meta", f"{cut_off}-coffer.json"), "w", encoding="utf-8") as file:
        file.truncate(0)
    box.backup("main")
    assert extra(box, box.backup("main"))["clone"] == "hard link"


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_that_was_cut_off_is_gone_on_with(primary, disk, kind):
    volume = disk(kind, 900, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    primary.pgbench("-i", "-q", "-s", "12")
    protect(box, primary)
    size = primary.value("select sum(pg_database_size(oid))::bigint from pg_database")
    steps = int(size * 0.9 / (4 * MEGABYTE))
    box.job("backup", "main", kill_point=f"job.backup.copying:{steps}", check=False)
    cut_off, = os.listdir(box.path("main", "base"))
    backup = box.backup("main")
    known = extra(box, backup)
    assert (known["base"], known["clone"]) == (cut_off, "taken over")
    assert known["bytes_written"] <= 0.15 * size, f"{known['bytes_written']} of {size} were written again"
    assert not os.path.exists(data(box, cut_off))
    assert box.backup_info("main", cut_off)["status"] == "FAILED"
    verify(box, backup)


def test_a_backup_without_reuse_has_files_of_its_own(place, primary, box):
    protect(box, primary, reuse_backup="off")
    box.job("backup", "main", kill_point="job.backup.copied", check=False)
    cut_off, = os.listdir(box.path("main", "base"))
    first, second = box.backup("main"), box.backup("main")
    assert not os.path.exists(data(box, cut_off))
    assert extra(box, second)["base"] == ""
    assert all(os.stat(os.path.join(folder, name)).st_nlink == 1
               for folder, _, names in os.walk(data(box, second)) for name in names)
    for backup in (first, second):
        verify(box, backup)


def test_a_base_that_went_bad_on_disk_is_mended_by_the_next_backup(primary, disk):
    volume = disk("xfs", 512, "xfs")
    box = Box(os.path.join(volume.mount_point, "box"))
    primary.pgbench("-i", "-q", "-s", "1")
    protect(box, primary)
    first = box.backup("main")
    path = primary.value("select pg_relation_filepath('pgbench_accounts')")
    with open(data(box, first, path), "r+b") as file:
        file.seek(8192 * 3 + 5000)
        file.write(b"rotten")
    os.unlink(data(box, first, "PG_VERSION"))
    second = box.backup("main")
    verify(box, second)
    assert extra(box, second)["base"] == ""  # the clone of what is no data directory was not begun with
    with open(data(box, second, path), "r+b") as file:
        file.seek(8192 * 3 + 5000)
        file.write(b"rotten")
    third = box.backup("main")
    assert extra(box, third)["base"] == second
    verify(box, third)
