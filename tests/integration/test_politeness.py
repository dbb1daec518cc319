"""A backup that slows down by itself while the server's own work suffers (backup_politeness), and WAL that is received at
a limited rate (streaming_bandwidth_limit)."""
import json
import os
import signal
import time

import pytest

from lib import pgroots, processes, waiting


@pytest.fixture
def standby(place, primary):
    """A standby as far as the server can tell: it says how much it has flushed, and can be stopped."""
    directory = processes.make_directory(os.path.join(place, "standby"))
    argv = pgroots.command(primary.version, "pg_receivewal", "-D", directory, "--synchronous", "--no-loop",
                           "-d", primary.conninfo() + " application_name=standby")
    process = processes.start(argv, os.path.join(place, "standby.log"))
    wait_for_standby(primary)
    yield process
    process.send_signal(signal.SIGCONT)


def wait_for_standby(primary):
    primary.wait_for("select count(*) > 0 from pg_stat_replication where application_name = 'standby' and "
                     "flush_lsn = pg_current_wal_flush_lsn()", "the standby is there")


class Backup:
    """One that runs beside the test, slow enough to be looked at."""

    def __init__(self, place, box):
        self.log = os.path.join(place, "backup.log")
        argv = [os.path.join(processes.BIN, "coffer-job"), "backup", "main", "--config", box.config]
        self.process = processes.start(processes.AS_USER + argv, self.log, env=box.environment())

    def text(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def wait_for(self, words):
        waiting.until(lambda: words in self.text(), f"the backup says: {words}", 60, [self.process])

    def wait(self):
        assert self.process.wait(120) == 0, self.text()


def record_of(box):
    (backup,) = box.backup_ids("main")
    with open(box.path("main", "meta", f"{backup}-coffer.json"), encoding="utf-8") as record:
        return json.load(record)


def test_a_backup_slows_down_while_a_standby_falls_behind(place, primary, box, standby):
    box.add_server("main", primary, backup_politeness="high", bandwidth_limit=3000)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = Backup(place, box)
    backup.wait_for("copying main")
    standby.send_signal(signal.SIGSTOP)
    primary.query("create table much as select n, repeat('x', 100) from generate_series(1, 150000) n")
    backup.wait_for("is slowed to")
    assert "replication is" in backup.text() and "behind (usually" in backup.text()
    standby.send_signal(signal.SIGCONT)
    backup.wait()
    assert record_of(box)["slowed_seconds"] > 0


def test_a_backup_slows_down_while_commits_take_longer(place, primary, box, standby):
    box.add_server("main", primary, backup_politeness="high", bandwidth_limit=3000)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.configure(synchronous_standby_names="standby")
    primary.reload()
    primary.wait_for("select count(*) > 0 from pg_stat_replication where sync_state = 'sync'", "commits wait for it")
    backup = Backup(place, box)
    backup.wait_for("copying main")
    standby.send_signal(signal.SIGSTOP)
    primary.wait_for("select count(*) > 0 from pg_stat_activity where application_name = 'coffer-politeness' and "
                     "wait_event = 'SyncRep' and clock_timestamp() - query_start > '2 seconds'", "a commit waits")
    standby.send_signal(signal.SIGCONT)
    backup.wait_for("is slowed to")
    assert "a commit takes" in backup.text()
    backup.wait()
    assert record_of(box)["slowed_seconds"] > 0


def test_what_the_role_may_not_see_is_said_and_slows_nothing(place, primary, box):
    primary.query("create role weak login replication")
    box.add_server("main", primary, conninfo=primary.conninfo(user="weak"), backup_politeness="high")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    told = box.job("backup", "main")
    assert "may not see how far standbys are behind: grant it pg_monitor" in told.stderr
    assert record_of(box).get("slowed_seconds", 0) == 0


def test_wal_is_received_no_faster_than_the_limit(primary, box):
    box.add_server("main", primary, streaming_bandwidth_limit="4M")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.wait_durable(primary)
    begun = time.monotonic()
    primary.query("create table much as select n, repeat('x', 100) from generate_series(1, 120000) n")
    written = primary.value("select pg_current_wal_flush_lsn() - '0/0'::pg_lsn")
    box.wait_durable(primary, 60)
    # What was taken at once before the limit counted is a quarter of a second's worth.
    assert time.monotonic() - begun > 0.9 * 12e6 / 4e6, written


def test_a_politeness_of_an_unknown_name_is_refused(primary, box):
    box.add_server("main", primary, backup_politeness="very")
    told = box.cofferctl("check", "main", check=False)
    assert told.returncode != 0
    assert "backup_politeness" in told.stdout + told.stderr and "off, low, medium or high" in told.stdout + told.stderr
