"""A standby takes over that had not received everything: the box has the commits that it lacks, and says so."""
import os

from lib import judge


def test_acknowledged_commits_on_the_branch_that_was_left_are_told_and_can_be_had(place, primary, box):
    standby = primary.standby(os.path.join(place, "standby"))
    standby.start()
    hosts = (f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres "
             "target_session_attrs=read-write")
    box.add_server("main", primary, conninfo=f"{hosts} dbname=postgres", streaming_conninfo=hosts)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table steps (n int)")
    primary.query("insert into steps values (1)")
    backup = box.backup("main")
    primary.wait_for("select bool_or(replay_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication "
                     "where application_name = 'walreceiver'", "the standby has the first row")
    standby.stop("fast")
    primary.configure(synchronous_standby_names="barman_receive_wal")
    primary.reload()
    box.wait_synchronous(primary)
    for n in (2, 3):
        primary.query("insert into steps values (%s)", n)
    primary.kill()
    standby.start()
    standby.promote()
    box.wait_streaming(standby)
    standby.query("insert into steps values (100)")
    box.wait_durable(standby)

    newest = box.job("restore", "main", backup, os.path.join(place, "newest", "data"), "--dry-run")
    assert "timeline 1 was left" in newest.stdout and "--target-tli 1" in newest.stdout
    restored = box.restore("main", backup, os.path.join(place, "newest")).start()
    judge.wait_promoted(restored)
    assert restored.query("select n from steps order by n") == [(1,), (100,)]
    restored.stop()

    old = box.job("restore", "main", backup, os.path.join(place, "old", "data"), "--dry-run", "--target-tli", "1")
    assert "was left" not in old.stdout
    restored = box.restore("main", backup, os.path.join(place, "old"), "--target-tli", "1").start()
    judge.wait_promoted(restored)
    assert restored.query("select n from steps order by n") == [(1,), (2,), (3,)]
