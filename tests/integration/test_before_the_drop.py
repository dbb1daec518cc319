"""The commonest disaster: a table was dropped. Recovery pauses just before that, and the table can be looked at."""
import os

import pytest

from lib import judge


@pytest.mark.parametrize("target", ["time", "xid"])
def test_a_dropped_table_can_be_read_while_recovery_pauses_before_the_drop(place, primary, box, target):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table orders (n int)")
    backup = box.backup("main")
    primary.query("insert into orders values (1)")
    moment = primary.value("select clock_timestamp()::text")
    connection = primary.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("drop table orders")
        cursor.execute("select pg_current_xact_id()::text")
        xid = cursor.fetchone()[0]
    connection.commit()
    primary.query("create table afterwards (n int)")
    box.wait_durable(primary)

    options = ["--target-time", moment] if target == "time" else ["--target-xid", xid, "--exclusive"]
    restored = box.restore("main", backup, os.path.join(place, "restored"), *options).start()
    restored.wait_for("select pg_get_wal_replay_pause_state() = 'paused'", "recovery pauses")
    # The lock of the DROP would make this wait for ever.
    assert restored.query("set lock_timeout = '5s'; select n from orders") == [(1,)]
    restored.query("select pg_wal_replay_resume()")
    judge.wait_promoted(restored)
    assert restored.query("select n from orders") == [(1,)]
    assert restored.value("select to_regclass('afterwards')") is None
