"""Debian's barman lists, shows and restores what Coffer wrote."""
import json
import os

import pytest

from lib import judge, processes
from lib.ledger import Ledger
from lib.postgres import Postgres


@pytest.fixture
def written(primary, box):
    """A box with a finished backup and compressed WAL behind it, its processes gone."""
    box.add_server("main", primary, compression="gzip", archiver="on")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    ledger = Ledger(primary).create().start()
    ledger.wait_more(50)
    primary.backup = box.backup("main", "--name", "nightly")
    ledger.wait_more(50)
    segment = primary.switch_wal()
    ledger.wait_more(10)
    ledger.stop()
    last = primary.switch_wal()
    box.wait_archived("main", last)
    box.stop()
    primary.ledger, primary.segments = ledger, (segment, last)
    return primary


def barman(box, *arguments, **more):
    """Barman on the same configuration: its [barman] section instead of [coffer], its user instead of ours."""
    with open(box.config, encoding="utf-8") as ours:
        text = ours.read().replace("[coffer]", "[barman]").replace("coffer_home", "barman_home")
    config = os.path.join(box.etc, "barman.conf")
    processes.write(config, text + f"barman_user = {processes.USER}\nlog_file = {box.directory}/barman.log\n")
    return processes.run_as_user(["/usr/bin/barman", "-c", config, *arguments],
                                 env=processes.environment(HOME=box.directory), **more)


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
