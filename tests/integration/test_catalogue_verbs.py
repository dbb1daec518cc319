"""rebuild-xlogdb and check-backup; and a catalogue that a newer Coffer wrote is left alone."""
import json
import os

import pytest

from lib import processes, waiting
from lib.barman import barman
from lib.postgres import Postgres
from test_images import protect

INDEX = ("wals", "xlog.db")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    processes.write(path, text)
    os.chown(path, processes.UID, processes.GID)


def end_segment(primary, box):
    primary.query("select pg_logical_emit_message(false, 'test', 'something')")
    segment = primary.value("select pg_walfile_name(pg_switch_wal())")
    box.wait_archived("main", segment)
    return segment


@pytest.fixture
def backup(primary, box):
    protect(box, primary, compression="gzip")
    taken = box.backup("main")
    for _ in range(3):
        primary.last_segment = end_segment(primary, box)
    waiting.until(lambda: primary.last_segment in read(box.path("main", *INDEX)), "the index has the last segment")
    return taken


def test_the_index_made_anew_is_the_one_that_was(box, backup):
    before = read(box.path("main", *INDEX))
    os.unlink(box.path("main", *INDEX))
    told = box.json("rebuild-xlogdb", "main")["main"]
    assert told == {"files": len(before.splitlines()), "left_out": 0, "first_left_out": []}
    assert read(box.path("main", *INDEX)) == before
    # Barman makes the same of it, but for how it writes times.
    os.unlink(box.path("main", *INDEX))
    barman(box, "rebuild-xlogdb", "main")
    theirs = [line.split() for line in read(box.path("main", *INDEX)).splitlines()]
    assert [(n, s, c) for n, s, _, c in (line.split() for line in before.splitlines())] == [(n, s, c) for n, s, _, c in theirs]


def test_barman_reads_the_index_made_anew(primary, box, backup):
    box.cofferctl("rebuild-xlogdb", "all")
    files = barman(box, "list-files", "main", backup, "--target", "wal").stdout
    assert primary.last_segment in files
    shown = json.loads(barman(box, "-f", "json", "show-backup", "main", backup).stdout)["main"]
    assert int(shown["wal_information"]["no_of_files"]) >= 2


def test_what_is_no_wal_is_named_and_not_indexed(primary, box, backup):
    folder = box.path("main", "wals", primary.last_segment[:16])
    write(os.path.join(folder, "0000000100000000000000EE"), "short")
    write(os.path.join(folder, "notes.txt"), "mine")
    done = box.cofferctl("rebuild-xlogdb", "main")
    assert f"{folder}/0000000100000000000000EE does not begin as a WAL segment does, and is not indexed" in done.stderr
    assert f"{folder}/notes.txt has a name that no WAL file has" in done.stderr
    index = read(box.path("main", *INDEX))
    assert "notes" not in index and "EE\t" not in index and primary.last_segment in index


def test_without_the_archiver_that_is_said(box, backup):
    box.archiver.stop()
    for command in (["rebuild-xlogdb", "main"], ["check-backup", "main", backup]):
        refused = box.cofferctl(*command, check=False)
        assert refused.returncode == 1 and "HINT" in refused.stderr and "archiver" in refused.stderr.lower(), refused.stderr


def test_a_server_that_is_not_active_has_its_index_made_anew_too(primary, box, backup):
    before = read(box.path("main", *INDEX))
    box.add_server("main", primary, compression="gzip", active="false")
    waiting.until(lambda: box.property("archiver", "main", "State") == "disabled", "the archiver has seen it")
    write(box.path("main", *INDEX), "nothing of it\n")
    box.cofferctl("rebuild-xlogdb", "main")
    assert read(box.path("main", *INDEX)) == before


# -- check-backup

def set_state(box, backup, state, only_barmans=False):
    """As a Barman that was cut off leaves it: the old one has the record inside of the backup only."""
    meta, inner = box.path("main", "meta", f"{backup}-backup.info"), box.path("main", "base", backup, "backup.info")
    for path in (meta, inner):
        write(path, read(path).replace("status=DONE", f"status={state}"))
    if only_barmans:
        os.unlink(meta)


@pytest.mark.parametrize("only_barmans", [False, True])
def test_a_backup_that_waits_becomes_done(box, backup, only_barmans):
    box.streamer.stop()
    box.archiver.stop()
    set_state(box, backup, "WAITING_FOR_WALS", only_barmans)
    needed = box.json("list-files", "main", backup, "--target", "standalone")["_INFO"][-1]
    assert len(os.path.basename(needed)) == 24
    os.rename(needed, needed + ".away")
    # Nothing behind it has come: it may still come.
    behind = [box.path("main", "wals", name[:16], name) for name in box.wals("main") if name > os.path.basename(needed)]
    behind += [box.path("main", "streaming", name) for name in os.listdir(box.path("main", "streaming"))]
    for path in behind:
        os.rename(path, path + ".away")
    box.archiver.start()
    waits = box.cofferctl("check-backup", "main", backup, check=False)
    assert waits.returncode == 1
    assert f"is WAITING_FOR_WALS: it waits for WAL, {os.path.basename(needed)} is not here yet" in waits.stderr
    os.rename(needed + ".away", needed)
    # The archiver, which has just begun, may be about to find the same by itself: then it is told as waiting, and as good.
    waiting.until(lambda: f"{backup} of server main is DONE" in box.cofferctl("check-backup", "main", backup).stdout,
                  "the backup becomes DONE")
    assert box.backup_info("main", backup)["status"] == "DONE"
    assert json.loads(barman(box, "-f", "json", "list-backup", "main").stdout)["main"][0]["status"] == "DONE"


def test_a_backup_whose_wal_is_lost_fails(box, backup):
    box.archiver.stop()
    set_state(box, backup, "WAITING_FOR_WALS")
    needed = box.json("list-files", "main", backup, "--target", "standalone")["_INFO"][-1]
    os.rename(needed, needed + ".away")
    box.archiver.start()
    failed = box.cofferctl("check-backup", "main", backup, check=False)
    assert failed.returncode == 1 and "is FAILED: wal that it needs is missing" in failed.stderr
    assert os.path.basename(needed) in box.backup_info("main", backup)["error"]
    assert box.json("check-backup", "main", backup, check=False)["main"]["status"] == "FAILED"
    os.rename(needed + ".away", needed)
    assert box.json("check-backup", "main", backup)["main"] == {"backup_id": backup, "status": "DONE", "missing_wal": ""}


def test_of_a_done_backup_lost_wal_is_told(box, backup):
    assert box.cofferctl("check-backup", "main", "latest").returncode == 0
    needed = box.json("list-files", "main", backup, "--target", "standalone")["_INFO"][-1]
    os.unlink(needed)
    told = box.cofferctl("check-backup", "main", backup, check=False)
    assert told.returncode == 1 and f"{os.path.basename(needed)} is missing, and the backup needs it" in told.stderr


# -- versions

def test_a_catalogue_of_a_newer_coffer_is_left_alone(place, primary, box, backup):
    other = Postgres(os.path.join(place, "other")).create().start()
    box.add_server("other", other)
    mark = box.path("main", "meta", "coffer-catalogue.json")
    assert json.loads(read(mark))["version"] == 1
    box.stop()
    write(mark, '{"version": 2, "written_by": "7.0"}')
    before = sorted(os.listdir(box.path("main", "meta")))
    box.start()
    assert box.property("archiver", "main", "State") == "misconfigured"
    assert "has version 2" in box.property("archiver", "main", "LastError")
    assert "WARNING: disabled" in box.cofferctl("list-servers").stdout
    for command in (["list-backups", "main"], ["show-backup", "main", backup], ["delete", "main", backup],
                    ["backup", "main"], ["restore", "main", backup, os.path.join(place, "restored")],
                    ["verify-backup", "main", backup], ["rebuild-xlogdb", "main"], ["check-backup", "main", backup],
                    ["expire", "main"], ["keep", "--release", "main", backup]):
        refused = box.cofferctl(*command, check=False)
        assert refused.returncode == 1, command
        assert "the catalogue of server 'main' has version 2, this program (Coffer " in refused.stderr
        assert mark in refused.stderr and "HINT: upgrade Coffer" in refused.stderr
    got = box.cofferctl("get-wal", "main", primary.last_segment, "--to", os.path.join(place, "wal"), check=False)
    assert got.returncode == 126 and "has version 2" in got.stderr
    job = box.job("restore", "main", backup, os.path.join(place, "restored"), check=False)
    assert job.returncode == 1 and "has version 2" in job.stderr
    assert sorted(os.listdir(box.path("main", "meta"))) == before
    box.wait_streaming(other)
    taken = box.backup("other")
    assert box.backup_info("other", taken)["status"] == "DONE"
    assert json.loads(barman(box, "-f", "json", "list-backup", "main").stdout)["main"][0]["backup_id"] == backup


def test_the_record_of_a_newer_coffer_closes_one_backup(place, primary, box, backup):
    box.add_server("main", primary, compression="gzip", retention_policy="REDUNDANCY 1")
    record = box.path("main", "meta", f"{backup}-coffer.json")
    write(record, json.dumps(json.loads(read(record)) | {"version": 2}))
    newest = box.backup("main")
    for command in (["restore", "main", backup, os.path.join(place, "restored")], ["verify-backup", "main", backup],
                    ["delete", "main", backup], ["check-backup", "main", backup]):
        refused = box.cofferctl(*command, check=False)
        assert refused.returncode == 1, command
        assert "this record of a backup has version 2" in refused.stderr and "upgrade Coffer" in refused.stderr
    box.cofferctl("expire", "main")
    assert box.backup_ids("main") == [backup, newest]
    box.cofferctl("verify-backup", "main", newest)
    assert len(box.json("list-backups", "main")["main"]) == 2
