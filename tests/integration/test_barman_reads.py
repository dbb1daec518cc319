"""Debian's barman lists, shows and restores what Coffer wrote."""
import json
import os

from lib import judge, processes
from lib.barman import barman
from lib.postgres import Postgres


def test_barman_lists_and_shows_the_backup(box, written):
    listed = json.loads(barman(box, "-f", "json", "list-backup", "main").stdout)
    assert [each["backup_id"] for each in listed["main"]] == [written.backup]
    assert listed["main"][0]["status"] == "DONE"
    shown = json.loads(barman(box, "-f", "json", "show-backup", "main", "latest").stdout)["main"]
    assert shown["backup_id"] == written.backup and shown["status"] == "DONE"
    files = barman(box, "list-files", "main", written.backup, "--target", "full").stdout
    assert written.segments[0] in files


def test_barman_serves_the_wal(place, box, written):
    segment = written.segments[0]
    processes.make_directory(os.path.join(place, "got"))
    barman(box, "get-wal", "-o", os.path.join(place, "got"), "main", segment)
    with open(os.path.join(place, "got", segment), "rb") as got, \
            open(os.path.join(written.data, "pg_wal", segment), "rb") as original:
        assert got.read() == original.read()


def test_barman_restores_the_backup_and_its_wal(place, box, written):
    restored = Postgres(os.path.join(place, "restored"))
    barman(box, "recover", "main", written.backup, restored.data)
    restored.start()
    judge.wait_promoted(restored)
    written.ledger.check(restored)


def test_barman_checks_a_catalogue_of_coffer_without_a_complaint_about_it(box, written):
    checked = json.loads(barman(box, "-f", "json", "check", "main", check=False).stdout)["main"]
    for item in ("directories", "failed_backups", "minimum_redundancy_requirements", "systemid_coherence",
                 "compression_settings", "archiver_errors"):
        assert checked[item]["status"] == "OK", checked[item]
