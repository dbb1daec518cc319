"""The retention policy is applied by itself, says what it will do and why, and deletes nothing that is read or kept."""
import datetime
import fcntl
import json
import os

import pytest

from lib import judge, waiting
from lib.barman import barman
from lib.postgres import Postgres


@pytest.fixture
def backups(primary, box):
    """Four backups with WAL between them, and no policy yet."""
    box.add_server("main", primary)
    box.start()
    box.wait_streaming(primary)
    taken = []
    for number in range(4):
        taken.append(box.backup("main"))
        primary.query(f"create table after_{number} (i int)")
        for _ in range(2):
            primary.query("select pg_logical_emit_message(false, 'test', 'something')")
            box.wait_archived("main", primary.value("select pg_walfile_name(pg_switch_wal())"))
    return taken


def first_wal(box, backup):
    return box.backup_info("main", backup)["begin_wal"]


def test_what_the_dry_run_says_is_done(primary, box, backups):
    box.archiver.stop()
    before = box.wals("main")
    box.add_server("main", primary, retention_policy="REDUNDANCY 2")
    told = box.json("expire", "--dry-run", "main")["main"]
    assert [each["backup_id"] for each in told["backups"]] == backups[:2]
    assert all("newer ones" in each["why"] for each in told["backups"])
    assert box.backup_ids("main") == backups and box.wals("main") == before
    assert f"{backups[0]}: there are 2 newer ones" in box.cofferctl("expire", "--dry-run", "main").stdout
    listed = box.json("list-backups", "main")["main"]
    assert [each["retention_status"] for each in listed] == ["-", "-", "OBSOLETE", "OBSOLETE"]
    box.archiver.start()
    waiting.until(lambda: box.backup_ids("main") == backups[2:], "the obsolete backups are gone")
    waiting.until(lambda: box.wals("main")[0] == first_wal(box, backups[2]), "their WAL is gone")
    assert len(before) - len(box.wals("main")) == told["wal_files"] > 0
    box.wait_space_freed("main")
    assert sorted(os.listdir(box.path("main", "base"))) == backups[2:]
    assert box.json("expire", "main")["main"] == {"dry_run": False, "backups": [], "wal_files": 0}


def test_a_new_backup_takes_the_place_of_the_oldest(place, primary, box, backups):
    box.add_server("main", primary, retention_policy="REDUNDANCY 4")
    newest = box.backup("main")
    waiting.until(lambda: box.backup_ids("main") == backups[1:] + [newest], "the oldest backup is gone")
    status = " ".join(box.cofferctl("status", "main").stdout.split())
    assert "Retention policies: enforced (mode: auto, retention: REDUNDANCY 4, WAL retention: MAIN)" in status
    restored = box.restore("main", backups[1], os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from pg_class where relname ~ '^after_'") == 4


def test_nothing_that_is_read_is_deleted(primary, box, backups):
    """A reader holds the backup's lock shared, as restore does."""
    with open(box.path("main", "meta", f".{backups[0]}.lock"), "w", encoding="utf-8") as lock:
        os.chmod(lock.name, 0o666)
        fcntl.flock(lock, fcntl.LOCK_SH)
        box.add_server("main", primary, retention_policy="REDUNDANCY 1")
        waiting.until(lambda: box.backup_ids("main") == [backups[0], backups[3]], "what is not read is gone")
        told = box.json("expire", "main")["main"]
        assert told == {"dry_run": False, "backups": [], "wal_files": 0}
        assert box.wals("main")[0] <= first_wal(box, backups[0])
        assert "is obsolete and stays for now" in box.archiver.log_tail(200)
    told = box.json("expire", "main")["main"]
    assert told["backups"] == [backups[0]] and told["wal_files"] > 0
    assert box.wals("main")[0] == first_wal(box, backups[3])


def test_a_standalone_backup_has_the_wal_that_it_needs_and_no_more(place, primary, box, backups):
    box.cofferctl("keep", "main", backups[0], "--target", "standalone")
    box.add_server("main", primary, retention_policy="REDUNDANCY 1")
    waiting.until(lambda: box.backup_ids("main") == [backups[0], backups[3]], "the others are gone")
    first = box.backup_info("main", backups[0])
    needed = [name for name in box.wals("main") if first["begin_wal"] <= name <= first["end_wal"]]
    assert needed
    waiting.until(lambda: not [n for n in box.wals("main") if first["end_wal"] < n < first_wal(box, backups[3])],
                  "the WAL between the two is gone")
    why = box.cofferctl("why", "main", backups[0]).stdout
    assert "KEEP:STANDALONE" in why and f"from {first['begin_wal']} to {first['end_wal']} only" in why
    told = box.json("why", "main", backups[3])["main"]
    assert (told["status"], told["deleted"], told["any_moment_since"]) == ("VALID", False, backups[3])
    restored = box.restore("main", backups[0], os.path.join(place, "restored"), "--target-immediate", "--target-action", "promote").start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from pg_class where relname ~ '^after_'") == 0
    refused = box.cofferctl("delete", "main", backups[0], check=False)
    assert refused.returncode == 1 and "the backup is kept" in refused.stderr
    box.cofferctl("keep", "main", backups[0], "--release")
    waiting.until(lambda: box.backup_ids("main") == [backups[3]], "what is kept no more is gone")


def days_ago(days):
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)
    return then.isoformat(sep=" ")


def test_a_wal_window_ends_before_the_backups(primary, box, backups):
    box.archiver.stop()
    box.add_server("main", primary, wal_retention_policy="1 DAYS", retention_policy="RECOVERY WINDOW OF 7 DAYS")
    for each, days in zip(backups, (99, 8, 3)):  # as if they had ended so long ago
        info = box.path("main", "meta", f"{each}-backup.info")
        with open(info, encoding="utf-8") as record:
            text = record.read()
        with open(info, "w", encoding="utf-8") as record:
            record.write(text.replace(f"end_time={box_time(text)}", f"end_time={days_ago(days)}"))
    box.archiver.start()
    waiting.until(lambda: box.backup_ids("main") == backups[1:], "the oldest is gone")
    alone = box.backup_info("main", backups[1])
    since = first_wal(box, backups[2])
    waiting.until(lambda: [n for n in box.wals("main") if n < since] ==
                  [n for n in box.wals("main") if alone["begin_wal"] <= n <= alone["end_wal"]],
                  "only what the older backup needs itself is left of the WAL before the window")
    assert box.json("why", "main", "oldest")["main"]["any_moment_since"] == backups[2]
    status = " ".join(box.cofferctl("status", "main").stdout.split())
    assert "WAL retention: 1 DAYS" in status


def box_time(record):
    return next(line for line in record.splitlines() if line.startswith("end_time=")).split("=", 1)[1]


def test_barman_and_coffer_keep_the_same_backups(box, backups):
    # How it is kept is told in the same words.
    for target in ("full", "standalone"):
        box.cofferctl("keep", "main", backups[0], "--target", target)
        told = box.cofferctl("keep", "--status", "main", backups[0]).stdout
        assert told.split() == barman(box, "keep", "--status", "main", backups[0]).stdout.split()
        assert box.json("keep", "--status", "main", backups[0]) == json.loads(
            barman(box, "-f", "json", "keep", "--status", "main", backups[0]).stdout)
    box.cofferctl("keep", "--release", "main", backups[0])
    assert "nokeep" in barman(box, "keep", "--status", "main", backups[0]).stdout
    barman(box, "keep", "--target", "full", "main", backups[1])
    assert "full" in box.cofferctl("keep", "--status", "main", backups[1]).stdout
    assert box.json("list-backups", "main")["main"][2]["retention_status"] == "KEEP:FULL"


def test_keep_says_what_is_wrong_with_the_call(box, backups):
    for options, said in (([], "one of --target, --release and --status is needed"),
                          (["--target", "full", "--release"], "one of --target, --release and --status is needed"),
                          (["--target", "half"], "'half' is no target")):
        refused = box.cofferctl("keep", "main", backups[0], *options, check=False)
        assert refused.returncode == 1 and said in refused.stderr
