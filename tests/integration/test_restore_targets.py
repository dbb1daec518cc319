"""Every kind of recovery target, inclusive and exclusive, on every version: exactly the expected rows.

One history per version, made once: rows 1, 2, 3 committed one by one after the backup, then a standby promoted and row 4
committed on timeline 2. Row 0 was there before the backup.
"""
import os

import pytest

from lib import judge, pgroots, processes
from lib.box import Box
from lib.postgres import Postgres


class History:
    """The server, its box, and the moments that targets name."""

    def __init__(self, directory, version):
        self.version = version
        self.directory = processes.make_directory(directory)
        self.primary = Postgres(os.path.join(directory, "primary"), version)
        self.primary.create(track_commit_timestamp="on").start()
        self.standby = self.primary.standby(os.path.join(directory, "standby")).start()
        self.box = Box(os.path.join(directory, "box"))
        hosts = (f"host=127.0.0.1,127.0.0.1 port={self.primary.port},{self.standby.port} user=postgres "
                 "target_session_attrs=read-write")
        self.box.add_server("main", self.primary, conninfo=f"{hosts} dbname=postgres", streaming_conninfo=hosts)
        self.box.start("streamer", "archiver")
        self.box.wait_streaming(self.primary)
        self.primary.query("create table steps(n int primary key)")
        self.commit(self.primary, 0)
        self.backup = self.box.backup("main")
        self.live()

    def commit(self, server, n):
        """Inserts n; its transaction, commit time and the LSN of its commit record."""
        xid = server.value("insert into steps values (%s) returning pg_current_xact_id()::text", n)
        time = server.value("select pg_xact_commit_timestamp(%s::xid)::text", xid)
        return {"xid": xid, "time": time, "lsn": judge.commit_lsn(server, xid)}

    def live(self):
        self.one = self.commit(self.primary, 1)
        self.primary.query("select pg_create_restore_point('after_one')")
        self.two = self.commit(self.primary, 2)
        self.three = self.commit(self.primary, 3)
        self.primary.switch_wal()
        self.primary.wait_for("select bool_or(replay_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication "
                              "where application_name = 'walreceiver'", "the standby has everything")
        self.box.wait_durable(self.primary)
        self.primary.stop("fast")
        self.standby.promote()
        self.box.wait_streaming(self.standby)
        self.commit(self.standby, 4)
        self.box.wait_durable(self.standby)

    def restore(self, name, *options):
        return self.box.restore("main", self.backup, os.path.join(self.directory, name), *options, version=self.version)


@pytest.fixture(scope="module", params=pgroots.VERSIONS, ids=lambda v: f"pg{v}")
def history(request, base):
    made = History(os.path.join(base, f"targets-{request.param}"), request.param)
    yield made
    processes.end_all()


def rows(server):
    return [row[0] for row in server.query("select n from steps order by n")]


# What to ask for, and the rows that must then be there.
TARGETS = {
    "the very end": (lambda h: [], [0, 1, 2, 3, 4]),
    "immediate": (lambda h: ["--target-immediate"], [0]),
    "a name": (lambda h: ["--target-name", "after_one"], [0, 1]),
    "a transaction": (lambda h: ["--target-xid", h.two["xid"]], [0, 1, 2]),
    "just before a transaction": (lambda h: ["--target-xid", h.two["xid"], "--exclusive"], [0, 1]),
    "an LSN": (lambda h: ["--target-lsn", h.two["lsn"]], [0, 1, 2]),
    "just before an LSN": (lambda h: ["--target-lsn", h.two["lsn"], "--exclusive"], [0, 1]),
    "a time": (lambda h: ["--target-time", h.two["time"]], [0, 1, 2]),
    "just before a time": (lambda h: ["--target-time", h.two["time"], "--exclusive"], [0, 1]),
    "the end of timeline 1": (lambda h: ["--target-tli", "1"], [0, 1, 2, 3]),
    "the end of timeline 2": (lambda h: ["--target-tli", "2"], [0, 1, 2, 3, 4]),
    "the newest timeline": (lambda h: ["--target-tli", "latest"], [0, 1, 2, 3, 4]),
    "a transaction on timeline 1": (lambda h: ["--target-xid", h.three["xid"], "--target-tli", "1"], [0, 1, 2, 3]),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_brings_back_exactly_its_rows(history, target):
    options, expected = TARGETS[target]
    options = options(history)
    if options and options[0] != "--target-tli":
        options += ["--target-action", "promote"]
    restored = history.restore(target.replace(" ", "-"), *options)
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    assert rows(restored) == expected
    judge.verify_running(restored)
    restored.stop()
    judge.verify_stopped(restored)


def test_pause_stops_at_the_target_and_waits(history):
    restored = history.restore("pause", "--target-name", "after_one", "--target-action", "pause").start()
    restored.wait_for("select pg_get_wal_replay_pause_state() = 'paused'", "recovery pauses")
    assert rows(restored) == [0, 1]
    restored.query("select pg_wal_replay_resume()")
    judge.wait_promoted(restored)
    assert rows(restored) == [0, 1]
    restored.stop()


def test_shutdown_ends_the_server_at_the_target(history):
    restored = history.restore("shutdown", "--target-name", "after_one", "--target-action", "shutdown")
    restored.start(wait=False)
    restored.process.wait(timeout=60)
    state = pgroots.run(restored.version, "pg_controldata", "-D", restored.data).stdout
    assert "shut down in recovery" in state


def test_standby_mode_makes_a_standby(history):
    restored = history.restore("standby-mode", "--standby-mode").start()
    assert os.path.exists(os.path.join(restored.data, "standby.signal"))
    restored.wait_for("select count(*) = 5 from steps", "the standby has replayed everything")
    assert restored.value("select pg_is_in_recovery()")
    restored.stop()


@pytest.mark.parametrize("options, reason", [
    (["--target-time", "2001-01-01 00:00:00+00"], "before the backup"),
    (["--target-lsn", "0/1000000"], "before the backup"),
    (["--target-lsn", "FFFF/0"], "after the last WAL"),
    (["--target-time", "2199-01-01 00:00:00+00"], "after the last commit"),
    (["--target-tli", "9"], "no such timeline"),
    (["--target-xid", "1", "--target-name", "after_one"], "two targets"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_an_impossible_target_is_refused_before_the_first_byte(history, options, reason):
    data = os.path.join(history.directory, "refused-data")
    done = history.box.job("restore", "main", history.backup, data, *options, check=False)
    assert done.returncode != 0, f"{reason} was not refused: {done.stdout}"
    assert done.stderr.strip(), "no reason given"
    assert not os.path.exists(data) or not os.listdir(data)


def test_a_directory_with_something_in_it_is_refused(history):
    data = processes.make_directory(os.path.join(history.directory, "not-empty"))
    processes.write(os.path.join(data, "precious"), "mine")
    done = history.box.job("restore", "main", history.backup, data, check=False)
    assert done.returncode != 0 and "empty" in done.stderr
    assert os.listdir(data) == ["precious"]
