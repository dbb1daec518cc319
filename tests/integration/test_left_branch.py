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


def test_an_unfinished_file_that_ends_before_its_timeline_began_does_not_hide_the_end_of_the_one_before(place, primary, box):
    """As an interrupted pg_receivewal leaves it: recovery would prefer it for its newer timeline."""
    standby = primary.standby(os.path.join(place, "standby")).start()
    hosts = (f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres "
             "target_session_attrs=read-write")
    box.add_server("main", primary, conninfo=f"{hosts} dbname=postgres", streaming_conninfo=hosts)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = box.backup("main")
    primary.query("create table steps as select n, md5(n::text) from generate_series(1, 500) n")
    primary.wait_for("select count(*) = 2 and bool_and(flush_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication",
                     "both have everything")
    primary.kill()
    standby.promote()
    box.wait_streaming(standby)
    box.wait_durable(standby)
    standby.kill()
    box.kill()
    newer, = [name for name in os.listdir(box.path("main", "streaming")) if name.startswith("00000002") and ".partial" in name]
    older = newer.replace("00000002", "00000001", 1)
    assert os.path.exists(box.path("main", "streaming", older))
    with open(box.path("main", "streaming", newer), "r+b") as file:
        size = os.path.getsize(file.name)
        file.truncate(16384)
        file.truncate(size)
    fetching = box.job("restore", "main", backup, os.path.join(place, "fetching", "data"), "--get-wal", check=False)
    assert fetching.returncode != 0 and "ends before its timeline began" in fetching.stderr
    restored = box.restore("main", backup, os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from steps") == 500
