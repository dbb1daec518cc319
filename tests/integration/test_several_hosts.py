"""Several hosts in a conninfo: the server of the newest timeline is followed, and whoever has the WAL is asked for it."""
import os

import pytest

from lib import processes, waiting
from lib.postgres import Postgres


def hosts(*servers, wanted="read-write"):
    ports = ",".join(str(server.port) for server in servers)
    names = ",".join("127.0.0.1" for _ in servers)
    return f"host={names} port={ports} user=postgres dbname=postgres target_session_attrs={wanted}"


def wait_confirmed(server, application):
    """Until one of the server's clients, told by its name, has everything on its disk."""
    server.wait_for("select bool_or(flush_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication "
                    "where application_name = %s", f"{application} has everything", 30, application)


def streams_from(server):
    """Whether the box takes WAL from it; asking who it is, which every attempt does, is a walsender in 'startup'."""
    return server.value("select count(*) from pg_stat_replication "
                        "where application_name = 'barman_receive_wal' and state <> 'startup'") > 0


@pytest.fixture
def standby(place, primary):
    return primary.standby(os.path.join(place, "standby")).start()


def test_an_old_primary_that_returns_is_not_followed(box, primary, standby):
    box.add_server("main", primary, conninfo=hosts(primary, standby), streaming_conninfo=hosts(primary, standby))
    box.start("streamer")
    primary.query("create table t as select 1 as n")
    for client in ("barman_receive_wal", "walreceiver"):
        wait_confirmed(primary, client)
    primary.kill()
    standby.promote()
    box.wait_streaming(standby)
    standby.query("insert into t values (2)")
    box.wait_durable(standby)

    primary.start()
    box.streamer.stop()
    box.streamer.start()
    box.wait_streaming(standby)
    assert not streams_from(primary)

    standby.stop("fast")
    waiting.until(lambda: "it has been replaced" in str(box.property("streamer", "main", "LastError")[1]),
                  "the old primary is refused", 30, [box.streamer.process])
    assert box.property("streamer", "main", "State") == "waiting"
    assert box.property("streamer", "main", "ExposureUSec") > 0
    assert not streams_from(primary)
    standby.start()
    box.wait_streaming(standby)


def test_another_host_is_asked_before_a_gap_is_accepted(box, primary, standby):
    standby.configure(wal_keep_size="1GB")
    standby.reload()
    conninfo = hosts(primary, standby, wanted="any")
    box.add_server("main", primary, conninfo=conninfo, streaming_conninfo=conninfo, slot_name=None)
    box.start("streamer", "archiver")
    primary.query("create table t as select 1 as n")
    wait_confirmed(primary, "barman_receive_wal")
    box.streamer.stop()
    first = primary.switch_wal()
    for _ in range(2):
        last = primary.switch_wal()
    wait_confirmed(primary, "walreceiver")
    primary.query("checkpoint")
    waiting.until(lambda: not os.path.exists(os.path.join(primary.data, "pg_wal", first)), "the primary removed it", 20)
    box.streamer.start()
    box.wait_archived("main", last)
    assert not box.property("streamer", "main", "LastGap")
    assert not box.holes("main")


def test_a_host_that_was_set_back_does_not_keep_the_right_one_from_being_followed(box, place, primary):
    primary.stop("fast")
    older = Postgres(os.path.join(place, "older"))
    processes.run_as_user(["cp", "-a", primary.data, older.data])
    primary.start()
    conninfo = hosts(older, primary)
    box.add_server("main", primary, conninfo=conninfo, streaming_conninfo=conninfo, slot_name=None)
    box.start("streamer")
    primary.query("create table t as select n from generate_series(1, 2000) n")
    box.wait_durable(primary)
    box.streamer.stop()
    older.start()
    box.streamer.start()
    box.wait_streaming(primary)
    primary.query("insert into t values (0)")
    box.wait_durable(primary)
    assert not streams_from(older)

    primary.stop("fast")
    waiting.until(lambda: "diverged" in str(box.property("streamer", "main", "LastError")[1]), "the older one is refused",
                  30, [box.streamer.process])
    assert not streams_from(older)
    primary.start()
    box.wait_streaming(primary)
