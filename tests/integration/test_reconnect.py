"""Servers come and go; the box notices at once, and never stands in the way."""
import os
import time

import pytest

from lib import waiting
from lib.ledger import Ledger
from lib.postgres import Postgres
from lib.proxy import Proxy


@pytest.fixture
def streamed(primary, box):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    return primary


def test_the_box_streams_within_a_second_of_the_servers_return(box, streamed):
    for how in ("fast", "immediate"):
        streamed.stop(how)
        streamed.start()
        began = time.monotonic()
        box.wait_streaming(streamed, seconds=10)
        assert time.monotonic() - began < 1.5, "reconnecting took too long"


@pytest.mark.parametrize("how", ["fast", "smart"])
def test_a_primary_shuts_down_without_waiting_for_the_box(streamed, how):
    ledger = Ledger(streamed).create().start()
    ledger.wait_more(200)
    ledger.stop()
    began = time.monotonic()
    streamed.stop(how, seconds=10)
    assert time.monotonic() - began < 2
    assert streamed.process.returncode == 0


def test_the_last_record_of_a_clean_shutdown_is_here(box, streamed):
    streamed.query("create table last(n int)")
    streamed.stop("fast")
    box.kill()
    partial = [name for name in os.listdir(box.path("main", "streaming")) if name.endswith(".partial")]
    with open(os.path.join(streamed.data, "pg_wal", partial[0][:24]), "rb") as theirs, \
            open(box.path("main", "streaming", partial[0]), "rb") as ours:
        their, our = theirs.read(), ours.read()
    assert our.rstrip(b"\0") == their[:len(our)].rstrip(b"\0")


def test_a_restarted_streamer_goes_on_where_it_was(box, streamed):
    ledger = Ledger(streamed).create().start()
    for _ in range(3):
        ledger.wait_more(100)
        streamed.switch_wal()
        ledger.wait_more(20)
        box.streamer.kill()
        ledger.wait_more(50)
        last = streamed.switch_wal()
        box.streamer.start()
        box.wait_archived("main", last)
    ledger.stop()
    waiting.until(lambda: not box.holes("main"), "the archive has no hole", 20)


def test_one_unreachable_server_does_not_hold_up_another(place, primary, box):
    gone = Postgres(os.path.join(place, "gone"))  # nobody listens on its port
    box.add_server("gone", gone)
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary, seconds=5)
    segment = primary.switch_wal()
    box.wait_archived("main", segment, seconds=5)


@pytest.fixture
def cuttable(primary, box):
    """The network between the box and the server that it streams from."""
    network = Proxy(primary.port)
    box.add_server("main", primary, streaming_conninfo=primary.conninfo(dbname="replication", port=network.port))
    box.start("streamer")
    box.wait_streaming(primary)
    box.wait_durable(primary)
    return network


def exposure(box):
    return box.property("streamer", "main", "ExposureUSec")


def test_a_silent_network_is_exposure_long_before_it_is_given_up(box, cuttable):
    waiting.until(lambda: exposure(box) == 0, "all is here", 10)
    cuttable.cut()
    waiting.until(lambda: exposure(box) > 2_000_000, "the silence counts", 20, [box.streamer.process])
    assert box.property("streamer", "main", "State") == "streaming"
    cuttable.mend()
    waiting.until(lambda: exposure(box) == 0, "all is here again", 20, [box.streamer.process])


def test_the_server_frees_the_slot_soon_after_a_silent_cut(box, primary, cuttable):
    cuttable.cut()
    primary.wait_for("select not active from pg_replication_slots", "the slot is free", 20)
    cuttable.mend()
    box.wait_streaming(primary, 20)


def test_another_cluster_behind_the_same_address_is_refused(place, box, streamed):
    box.wait_archived("main", streamed.switch_wal())
    streamed.stop()
    other = Postgres(os.path.join(place, "other"), port=streamed.port).create().start()
    systemid = other.value("select system_identifier::text from pg_control_system()")

    def refused():
        with open(box.streamer.log, encoding="utf-8") as log:
            return systemid in log.read()

    waiting.until(refused, "the foreign system identifier is named in the log", 15)
    assert other.value("select count(*) from pg_stat_replication where state = 'streaming'") == 0
