"""Recovery that fetches its WAL from the box, segment by segment, the unfinished one too."""
import os
import pwd

import pytest

from lib import judge, processes
from lib.damage import flip
from lib.ledger import Ledger


def test_a_recovery_with_get_wal_loses_nothing(place, primary, box):
    primary.configure(synchronous_standby_names="*")
    box.add_server("main", primary, compression="zstd")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.reload()
    box.wait_synchronous(primary)
    ledger = Ledger(primary).create().start()
    backup = box.backup("main")
    for _ in range(4):
        ledger.wait_more(40)
        segment = primary.switch_wal()
    ledger.wait_more(40)
    primary.kill()
    ledger.join()
    box.wait_archived("main", segment)
    box.kill()  # cofferctl get-wal needs no service

    restored = box.restore("main", backup, os.path.join(place, "restored"), "--get-wal")
    assert [name for name in os.listdir(os.path.join(restored.data, "pg_wal")) if len(name) == 24] == []
    restored.start()
    judge.wait_promoted(restored)
    assert ledger.check(restored) >= ledger.total()
    judge.verify_running(restored)


def test_a_recovery_with_get_wal_stops_at_its_target(place, primary, box):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table steps (n int)")
    backup = box.backup("main")
    primary.query("insert into steps values (1)")
    primary.query("select pg_create_restore_point('one')")
    segment = primary.switch_wal()
    primary.query("insert into steps values (2)")
    box.wait_archived("main", segment)
    restored = box.restore("main", backup, os.path.join(place, "restored"), "--get-wal", "--target-name", "one",
                           "--target-action", "promote")
    restored.start()
    judge.wait_promoted(restored)
    assert restored.query("select n from steps") == [(1,)]


def test_a_server_that_could_not_fetch_its_wal_is_not_restored_with_get_wal(place, primary, box):
    """Root restores for a user who may not read the box."""
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = box.backup("main")
    os.chmod(box.config, 0o600)
    directory = os.path.join(place, "theirs")
    os.mkdir(directory)
    stranger = pwd.getpwnam("nobody")
    os.chown(directory, stranger.pw_uid, stranger.pw_gid)
    restore = [os.path.join(processes.BIN, "coffer-job"), "restore", "main", backup, os.path.join(directory, "data"),
               "--config", box.config]
    done = processes.run(restore + ["--get-wal"], check=False, env=box.environment())
    assert done.returncode != 0 and box.config in done.stderr and "nobody" in done.stderr and "HINT" in done.stderr
    assert os.listdir(directory) == []
    processes.run(restore, env=box.environment())
    assert os.stat(os.path.join(directory, "data")).st_uid == stranger.pw_uid


def five_segments(primary, box):
    """A backup, and five archived segments with a row each, in the middle of a log that goes on. (backup, names)"""
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table steps (n int)")
    backup = box.backup("main")
    names = []
    for n in range(1, 6):
        primary.query("insert into steps values (%s)", n)
        names.append(primary.switch_wal())
    box.wait_archived("main", names[-1])
    return backup, names


def spoil(box, name, how):
    path = box.path("main", "wals", name[:16], name)
    if how == "missing":
        os.unlink(path)
    else:
        flip(path, 120)  # within its first records; most of it is the padding behind a switch
        if how == "unproven":  # as a Barman archived it
            os.removexattr(path, "user.coffer.proof")


@pytest.mark.parametrize("how", ["missing", "damaged", "unproven"])
def test_recovery_stops_where_a_segment_in_between_is_no_good(place, primary, box, how):
    """PostgreSQL would take it for the end of the log, and promote without the rows behind it."""
    backup, names = five_segments(primary, box)
    restored = box.restore("main", backup, os.path.join(place, "restored"), "--get-wal")
    spoil(box, names[2], how)
    restored.start(wait=False)
    assert restored.process.wait(timeout=60) != 0
    assert names[2] in restored.log_tail(60)
    assert "archive recovery complete" not in restored.log_tail(60)


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize("get_wal", ["--get-wal", "--no-get-wal"])
def test_a_segment_in_between_that_is_no_good_is_found_before_the_data_files_are_copied(place, primary, box, how, get_wal):
    backup, names = five_segments(primary, box)
    spoil(box, names[2], how)
    data = os.path.join(place, "never", "data")
    done = box.job("restore", "main", backup, data, get_wal, check=False)
    assert done.returncode != 0 and names[2] in done.stderr
    assert not os.path.exists(os.path.join(data, "base"))


def test_a_recovery_with_get_wal_goes_over_a_switch_of_timeline(place, primary, box):
    standby = primary.standby(os.path.join(place, "standby")).start()
    hosts = (f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres "
             "target_session_attrs=read-write")
    box.add_server("main", primary, conninfo=f"{hosts} dbname=postgres", streaming_conninfo=hosts)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table steps (n int)")
    backup = box.backup("main")
    for n in (1, 2):
        primary.query("insert into steps values (%s)", n)
        primary.switch_wal()
    primary.wait_for("select bool_or(replay_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication "
                     "where application_name = 'walreceiver'", "the standby has everything")
    box.wait_durable(primary)
    primary.stop()
    standby.promote()
    box.wait_streaming(standby)
    standby.query("insert into steps values (3)")
    segment = standby.switch_wal()
    standby.query("insert into steps values (4)")
    box.wait_archived("main", segment)
    box.wait_durable(standby)
    restored = box.restore("main", backup, os.path.join(place, "restored"), "--get-wal").start()
    judge.wait_promoted(restored)
    assert restored.query("select n from steps order by n") == [(1,), (2,), (3,), (4,)]
