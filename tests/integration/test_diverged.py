"""Servers with the same identity and other WAL: nothing is taken from them, and nothing is confirmed to them."""
import hashlib
import os
import shutil

import pytest

from lib import processes, waiting
from lib.postgres import Postgres


def held(box):
    """What the box holds of WAL: the digest of each file by name."""
    found = {}
    for folder in ("streaming", "wals"):
        for directory, _, names in os.walk(box.path("main", folder)):
            for name in names:
                if name[0] != ".":
                    with open(os.path.join(directory, name), "rb") as file:
                        found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def wait_refused(box, *words):
    """Until the receiver has failed with a text that has all the words in it."""
    def refused():
        if box.property("streamer", "main", "State") != "failed":
            return False
        text = str(box.property("streamer", "main", "LastError")[1])
        return all(word in text for word in words)

    waiting.until(refused, f"failed with {words}", 30, [box.streamer.process])


def hold_nothing_unfinished(box):
    for name in os.listdir(box.path("main", "streaming")):
        if name.endswith(".partial"):
            os.unlink(box.path("main", "streaming", name))


def assert_exposed_and_untouched(box, server, before, with_slot=True):
    assert box.property("streamer", "main", "ExposureUSec") > 0
    assert held(box) == before
    # A confirmed position would have moved the slot, which was made with that of the last checkpoint. Where the history
    # files tell already, none is made.
    slots = server.query("select restart_lsn <= (select redo_lsn from pg_control_checkpoint()) from pg_replication_slots")
    assert bool(slots) == with_slot and all(unmoved for (unmoved,) in slots)


@pytest.fixture
def streamed(primary, box):
    """The copy of a primary's disk, and the primary some transactions later; then it is gone, and the box is off."""
    primary.stop("fast")
    primary.snapshot = primary.data + ".snapshot"
    processes.run_as_user(["cp", "-a", primary.data, primary.snapshot])
    primary.start()
    box.add_server("main", primary)
    box.start("streamer")
    box.wait_streaming(primary)
    primary.query("create table history as select n, md5(n::text) from generate_series(1, 2000) n")
    box.wait_durable(primary)
    primary.stop("fast")
    return primary


def set_back(primary):
    shutil.rmtree(primary.data)
    os.rename(primary.snapshot, primary.data)
    return primary.start()


def test_a_server_set_back_is_refused_where_what_is_held_begins_within_a_record(primary, box):
    # The one segment that is held begins with the rest of a record, so nothing before its end can be proven.
    primary.query("select pg_logical_emit_message(false, 't', repeat('x', 17000000))")
    primary.query("checkpoint")
    primary.stop("fast")
    primary.snapshot = primary.data + ".snapshot"
    processes.run_as_user(["cp", "-a", primary.data, primary.snapshot])
    primary.start()
    box.add_server("main", primary, slot_name=None)
    box.start("streamer")
    box.wait_streaming(primary)
    primary.query("create table history as select n, md5(n::text) from generate_series(1, 2000) n")
    box.wait_durable(primary)
    primary.stop("fast")
    box.streamer.stop()
    before = held(box)
    set_back(primary)
    primary.query("create table other as select n, md5(n::text) from generate_series(1, 9000) n")
    box.streamer.start()
    wait_refused(box, "diverged", "differs at")
    assert held(box) == before


def test_a_server_set_back_to_a_snapshot_is_refused_behind_and_beyond_what_is_held(box, streamed):
    box.streamer.stop()
    before = held(box)
    set_back(streamed)
    box.streamer.start()
    wait_refused(box, "diverged", "less than")
    assert_exposed_and_untouched(box, streamed, before)
    streamed.query("create table other as select n, md5(n::text) from generate_series(1, 9000) n")
    wait_refused(box, "diverged", "differs at")
    assert_exposed_and_untouched(box, streamed, before)


def test_a_running_box_notices_it_as_well(box, streamed):
    waiting.until(lambda: box.property("streamer", "main", "State") == "waiting", "the server is missed", 30)
    before = held(box)
    set_back(streamed)
    wait_refused(box, "diverged", "less than")
    assert_exposed_and_untouched(box, streamed, before)


def promote_two(place, primary):
    """Two standbys of the same state, promoted to the same timeline at the same position, without each other."""
    standbys = [primary.standby(os.path.join(place, name)).start() for name in ("first", "second")]
    primary.query("create table common as select 1 as n")
    primary.stop("fast")
    for standby in standbys:
        standby.promote()
        standby.query("checkpoint")
    return standbys


@pytest.mark.parametrize("same_point", [True, False])
def test_two_servers_promoted_to_one_timeline_are_told_apart(place, primary, box, same_point):
    first, second = promote_two(place, primary)
    if not same_point:
        history = os.path.join(second.data, "pg_wal", "00000002.history")
        with open(history, encoding="ascii") as file:
            text = file.read()
        with open(history, "w", encoding="ascii") as file:
            file.write(text.replace("no recovery target", "another recovery target"))
    box.add_server("main", first)
    box.start("streamer")
    box.wait_streaming(first)
    first.query("create table of_first as select n from generate_series(1, 1000) n")
    box.wait_durable(first)
    box.streamer.stop()
    before = held(box)
    second.query("create table of_second as select n from generate_series(1, 5000) n")
    box.add_server("main", second)
    box.streamer.start()
    wait_refused(box, "diverged", "differs at" if same_point else "another 00000002.history")
    assert_exposed_and_untouched(box, second, before, with_slot=same_point)
    if same_point:
        # Nor is the history of a further timeline kept, which a recovery would follow.
        second.stop("fast")
        processes.write(os.path.join(second.data, "standby.signal"), "")
        second.start()
        second.promote()
        wait_refused(box, "diverged", "differs at")
        assert_exposed_and_untouched(box, second, before)
    box.add_server("main", first)
    box.wait_streaming(first)
    box.wait_durable(first)


def test_wal_that_the_server_removed_is_not_compared_and_streaming_goes_on(box, primary):
    primary.configure(wal_keep_size="0", max_wal_size="32MB", min_wal_size="32MB")
    primary.stop("fast")
    primary.start()
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    first = primary.switch_wal()
    box.wait_archived("main", first)
    box.streamer.stop()
    hold_nothing_unfinished(box)
    primary.query("select pg_logical_emit_message(false, 'test', repeat('x', 100)); checkpoint")
    primary.query("checkpoint")
    waiting.until(lambda: not os.path.exists(os.path.join(primary.data, "pg_wal", first)), "the segment is gone", 10)
    box.streamer.start()
    box.wait_streaming(primary)
    box.wait_durable(primary)
    assert "was to be compared with" in box.streamer.log_tail()
    assert not box.property("streamer", "main", "LastGap")
    assert not box.holes("main")


def test_an_archived_segment_that_rotted_is_no_judge(box, primary):
    box.add_server("main", primary, compression="none")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table history as select n, md5(n::text) from generate_series(1, 2000) n")
    last = primary.switch_wal()
    box.wait_archived("main", last)
    box.streamer.stop()
    hold_nothing_unfinished(box)
    path = box.path("main", "wals", last[:16], last)
    with open(path, "r+b") as file:
        content = file.read()
        at = len(content.rstrip(b"\0")) - 20  # in the last record
        file.seek(at)
        file.write(bytes([content[at] ^ 1]))
    box.streamer.start()
    box.wait_streaming(primary)
    box.wait_durable(primary)
    assert "is damaged, and cannot be compared" in box.streamer.log_tail()


def test_a_promoted_clone_with_the_same_archive_command_does_not_keep_its_origin_from_being_streamed(place, box, primary):
    clone = primary.standby(os.path.join(place, "clone")).start()
    box.add_server("main", primary, archiver="on")
    box.start("streamer", "archiver")
    primary.query("create table common as select 1 as n")
    box.wait_durable(primary)
    clone.promote()
    clone.query("create table of_clone as select 1 as n")
    theirs = clone.switch_wal()
    assert theirs.startswith("00000002")
    incoming = box.path("main", "incoming")
    for name in ("00000002.history", theirs):
        processes.run_as_user(["cp", os.path.join(clone.data, "pg_wal", name), os.path.join(incoming, f".{name}.tmp")])
        os.rename(os.path.join(incoming, f".{name}.tmp"), os.path.join(incoming, name))
    box.wait_archived("main", theirs)
    box.streamer.stop()
    box.streamer.start()
    box.wait_streaming(primary)
    primary.query("insert into common values (2)")
    box.wait_durable(primary)
    assert box.property("streamer", "main", "Timeline") == 1
