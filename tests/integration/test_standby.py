"""Backups of a standby, with an idle primary: they end in bounded time, whichever way the WAL comes.

One primary, its standby and a box for the whole file; each test has a server section of its own.
"""
import os
import subprocess

import pytest

from lib import judge, processes
from lib.box import Box
from lib.postgres import Postgres


class Pair:
    def __init__(self, directory):
        self.directory = directory
        self.box = Box(os.path.join(directory, "box"))
        incoming = processes.make_directory(os.path.join(directory, "incoming"))
        self.archive_command = f"cp %p {incoming}/.%f.tmp && mv {incoming}/.%f.tmp {incoming}/%f"
        self.incoming = incoming
        self.primary = Postgres(os.path.join(directory, "primary"))
        self.primary.create(archive_mode="on", archive_command=self.archive_command, autovacuum="off").start()
        self.standby = self.primary.standby(os.path.join(directory, "standby")).start()
        self.primary.query("create table t as select n from generate_series(1, 1000) n")
        self.box.start("streamer", "archiver")

    def catch_up(self):
        """Until the standby has replayed everything."""
        lsn = self.primary.value("select pg_current_wal_flush_lsn()")
        self.standby.wait_for("select pg_last_wal_replay_lsn() >= %s::pg_lsn", "the standby has everything", 60, lsn)

    def archived(self, name, **settings):
        """A server whose WAL comes by archive_command alone."""
        self.box.add_server(name, self.standby, archiver="on", streaming_archiver="off", slot_name=None,
                            incoming_wals_directory=self.incoming, **settings)
        self.box.archiver.stop()
        self.box.archiver.start()
        # What came before went to another server: a backup has to begin behind it.
        self.primary.query("checkpoint")
        self.catch_up()

    def check_restores(self, name, backup, *options):
        restored = self.box.restore(name, backup, os.path.join(self.directory, f"restored-{name}"), *options)
        judge.verify_files(restored)
        restored.start()
        judge.wait_promoted(restored)
        assert restored.value("select count(*) from t") == self.primary.value("select count(*) from t")
        restored.stop()


@pytest.fixture(scope="module")
def both(base):
    made = Pair(processes.make_directory(os.path.join(base, "pair")))
    yield made
    processes.end_all()


@pytest.fixture
def pair(both):
    """Without a server section, and with an archive_command that works."""
    yield both
    for name in os.listdir(both.box.servers_directory):
        os.unlink(os.path.join(both.box.servers_directory, name))
    both.primary.configure(archive_command=both.archive_command)
    both.primary.reload()


def items(pair, name):
    return pair.box.json("check", name, check=False)[name]


def test_wal_that_comes_by_archive_command_the_idle_primary_is_asked_for(pair):
    pair.archived("asked", primary_conninfo=pair.primary.conninfo())
    pair.catch_up()
    backup = pair.box.backup("asked", "--wait-timeout", "120")
    assert pair.box.backup_info("asked", backup)["status"] == "DONE"
    pair.check_restores("asked", backup)
    judged = items(pair, "asked")
    for item in ("postgresql_server_is_standby", "primary_server_is_not_a_standby",
                 "primary_and_standby_have_same_system_id"):
        assert judged[item]["status"] == "OK", item
    assert judged["continuous_archiving"]["status"] == "OK"
    pair.primary.query("insert into t values (0)")
    assert "has been closed" in pair.box.cofferctl("switch-wal", "asked").stdout


def test_without_a_primary_to_ask_the_remedy_is_told_and_the_backup_ends_with_the_wal(pair):
    pair.archived("alone")
    pair.primary.query("insert into t values (0)")
    pair.catch_up()
    done = pair.box.job("backup", "alone", "--fast", "--wait-timeout", "1", check=False)
    assert done.returncode == 1 and "set primary_conninfo" in done.stderr
    (backup,) = pair.box.backup_ids("alone")
    assert pair.box.backup_info("alone", backup)["status"] == "WAITING_FOR_WALS"
    assert "name its primary in primary_conninfo" in pair.box.cofferctl("switch-wal", "alone", check=False).stderr
    pair.box.wait_archived("alone", pair.primary.switch_wal())
    pair.box.cofferctl("check-backup", "alone", backup)
    assert pair.box.backup_info("alone", backup)["status"] == "DONE"


def test_where_no_wal_comes_the_primary_makes_a_checkpoint(pair):
    pair.primary.configure(archive_command="false")
    pair.primary.reload()
    pair.archived("slow", primary_conninfo=pair.primary.conninfo(), primary_checkpoint_timeout=1)
    pair.primary.query("insert into t values (0)")
    pair.catch_up()
    before = pair.primary.value("select checkpoint_lsn::text from pg_control_checkpoint()")
    argv = processes.AS_USER + [os.path.join(processes.BIN, "coffer-job"), "backup", "slow", "--config", pair.box.config]
    job = subprocess.Popen(argv, env=pair.box.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    pair.primary.wait_for("select checkpoint_lsn > %s::pg_lsn from pg_control_checkpoint()",
                          "the primary makes a checkpoint", 60, before)
    pair.primary.configure(archive_command=pair.archive_command)
    pair.primary.reload()
    assert job.wait(120) == 0, job.stdout.read()
    assert "the primary has made a checkpoint" in job.stdout.read()


def test_a_streamed_standby_needs_nobody_else(pair):
    pair.box.add_server("cascade", pair.standby)
    pair.box.wait_streaming(pair.standby)
    pair.catch_up()
    backup = pair.box.backup("cascade", "--wait-timeout", "120")
    pair.check_restores("cascade", backup)


def test_wal_is_streamed_from_another_host_than_backups_are_taken_from(pair):
    pair.box.add_server("split", pair.standby, slot_name="split", wal_streaming_conninfo=pair.primary.conninfo(),
                        primary_conninfo=pair.primary.conninfo())
    pair.primary.wait_for("select count(*) > 0 from pg_stat_replication where application_name = 'barman_receive_wal' "
                          "and state = 'streaming'", "the primary is streamed from", 30)
    assert pair.standby.value("select count(*) from pg_replication_slots") == 1  # of the test before
    pair.primary.query("insert into t values (0)")
    pair.catch_up()
    backup = pair.box.backup("split", "--wait-timeout", "120")
    with open(pair.box.path("split", "base", backup, "data", "backup_label"), encoding="utf-8") as label:
        assert "BACKUP FROM: standby" in label.read()
    pair.check_restores("split", backup)
    judged = items(pair, "split")
    for item in ("has_monitoring_privileges_(wal_streaming)", "postgresql_streaming_(wal_streaming)",
                 "wal_level_(wal_streaming)", "systemid_coherence_(wal_streaming)", "replication_slot_(wal_streaming)",
                 "receive_wal_running"):
        assert judged[item]["status"] == "OK", (item, judged[item])
    assert "replication_slot" not in judged
    clients = pair.box.json("replication-status", "split", "--source", "wal-host")["split"]["streaming_clients"]
    assert "barman_receive_wal" in {client["application_name"] for client in clients}


def test_a_primary_of_another_system_is_refused(pair, base):
    other = Postgres(os.path.join(base, "other")).create().start()
    pair.archived("mixed", primary_conninfo=other.conninfo())
    done = pair.box.job("backup", "mixed", "--fast", check=False)
    assert done.returncode == 1 and "primary_conninfo leads to system" in done.stderr
    assert not pair.box.backup_ids("mixed")
    assert items(pair, "mixed")["primary_and_standby_have_same_system_id"]["status"] == "FAILED"
    other.stop()


def test_roles_that_do_not_fit_the_keys_are_told(pair):
    pair.archived("turned", conninfo=pair.primary.conninfo(), primary_conninfo=pair.standby.conninfo())
    judged = items(pair, "turned")
    assert judged["postgresql_server_is_standby"]["status"] == "FAILED"
    assert judged["primary_server_is_not_a_standby"]["status"] == "FAILED"
    assert judged["primary_and_standby_have_same_system_id"]["status"] == "OK"
