"""A full disk at each place: nothing is acknowledged that is not durable, the state says so, and it goes on by itself."""
import os

import psycopg2
import pytest

from lib import judge, processes, waiting
from lib.box import Box
from lib.ledger import Ledger

MEGABYTE = 1 << 20


def protect(box, primary, **settings):
    box.add_server("main", primary, **settings)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.configure(synchronous_standby_names="*")
    primary.reload()
    box.wait_synchronous(primary)


def restore_and_check(box, place, ledger):
    restored = box.restore("main", "latest", os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    ledger.check(restored)


def test_a_full_landing_acknowledges_nothing_and_goes_on_when_there_is_room(place, primary, box, disk):
    landing = disk("xfs", 320, "landing")
    streaming = processes.make_directory(os.path.join(landing.mount_point, "streaming"))
    protect(box, primary, streaming_wals_directory=streaming)
    backup = box.backup("main")
    ledger = Ledger(primary, clients=2).create().start()
    ledger.wait_more(50)
    box.archiver.stop()  # which makes room by taking segments away
    landing.fill()
    # Segments are switched until the box has no room for the next one (it has one ready), and COMMIT no longer returns.
    blocked = psycopg2.connect(primary.conninfo())
    blocked.autocommit = True
    with blocked.cursor() as cursor:
        cursor.execute("set synchronous_commit = local")
        for number in range(3):
            cursor.execute("select pg_switch_wal()")
            cursor.execute("insert into ledger values (99, %s, 'not synchronous')", [number])
        cursor.execute("select pg_current_wal_lsn()")
        beyond = cursor.fetchone()[0]
    blocked.close()
    waiting.until(lambda: "no-space" in box.cofferctl("-f", "json", "status", "main", check=False).stdout.lower(),
                  "the status says that there is no space", 30)
    assert not primary.value("select coalesce(bool_or(flush_lsn >= %s::pg_lsn), false) from pg_stat_replication", beyond)
    assert box.streamer.running()
    landing.make_room()
    box.archiver.start()
    ledger.wait_more(50, seconds=60)
    ledger.stop()
    primary.kill()
    box.kill()
    assert backup
    restored = box.restore("main", "latest", os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    restored.query("delete from ledger where client = 99")
    ledger.check(restored)


def test_a_server_can_shut_down_while_the_landing_is_full(primary, box, disk):
    landing = disk("xfs", 320, "landing")
    streaming = processes.make_directory(os.path.join(landing.mount_point, "streaming"))
    box.add_server("main", primary, streaming_wals_directory=streaming)
    box.start("streamer")
    box.wait_streaming(primary)
    landing.fill()
    for _ in range(3):
        primary.switch_wal()
    waiting.until(lambda: "no-space" in box.cofferctl("-f", "json", "status", "main", check=False).stdout.lower(),
                  "the status says that there is no space", 30)
    primary.stop("fast", seconds=45)  # it waits for whoever it still hears of
    primary.start()
    landing.make_room()
    box.wait_durable(primary)


def test_a_full_archive_keeps_the_segment_and_goes_on_when_there_is_room(place, primary, box, disk):
    archive = disk("ext4", 96, "archive")
    wals = processes.make_directory(os.path.join(archive.mount_point, "wals"))
    protect(box, primary, wals_directory=wals, compression="none")
    box.backup("main")
    archive.fill(leave=MEGABYTE)
    ledger = Ledger(primary).create().start()
    ledger.wait_more(100)
    segment = primary.switch_wal()
    ledger.wait_more(100)
    streaming = box.path("main", "streaming", segment)
    waiting.until(lambda: os.path.exists(streaming), "the segment is in streaming", 20)
    waiting.until(lambda: "no space" in open(box.archiver.log, encoding="utf-8").read().lower(),
                  "the archiver says that there is no space", 30)
    assert os.path.exists(streaming)
    archive.make_room()
    waiting.until(lambda: os.path.exists(os.path.join(wals, segment[:16], segment)), "the segment is archived", 90)
    waiting.until(lambda: not os.path.exists(streaming), "the source is removed", 20)
    ledger.stop()
    primary.kill()
    box.kill()
    restore_and_check(box, place, ledger)


def test_a_full_image_disk_fails_the_backup_with_its_reason(primary, box, disk):
    images = disk("ext4", 24, "images")
    base = processes.make_directory(os.path.join(images.mount_point, "base"))
    protect(box, primary, basebackups_directory=base)
    done = box.job("backup", "main", check=False)
    assert done.returncode == 1
    assert "no space" in (done.stdout + done.stderr).lower()
    (backup,) = box.backup_ids("main")
    assert box.backup_info("main", backup)["status"] == "FAILED"


def test_a_restore_without_room_is_refused_before_the_first_byte(primary, box, disk):
    protect(box, primary)
    backup = box.backup("main")
    small = disk("ext4", 24, "small")
    target = processes.make_directory(os.path.join(small.mount_point, "target"))
    done = box.job("restore", "main", backup, target, check=False)
    assert done.returncode == 1
    assert "no space" in (done.stdout + done.stderr).lower() or "room" in done.stderr.lower()
    assert os.listdir(target) == []
