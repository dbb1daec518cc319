"""A server that was set back to an older state of its disk: no backup of it is called good that is of two histories."""
import os

import pytest

from lib import processes, waiting
from lib.postgres import Postgres
from test_diverged import set_back
from test_images import extra, protect, rows_right_after


def take_snapshot(server):
    server.stop("fast")
    server.snapshot = server.data + ".snapshot"
    processes.run_as_user(["cp", "-a", server.data, server.snapshot])
    server.start()


def write_segments(server, count):
    for _ in range(count):
        server.query("select pg_logical_emit_message(false, 'test', repeat('x', 3000000))")
        last = server.switch_wal()
    return last


def test_a_backup_is_not_done_by_wal_of_the_history_that_was_given_up(place, primary, box):
    take_snapshot(primary)
    protect(box, primary)
    good = box.backup("main")
    box.wait_archived("main", write_segments(primary, 6))
    primary.stop("fast")
    set_back(primary)
    # Its segments have the names of those that are held.
    told = box.job("backup", "main", "--wait-timeout", "15", check=False)
    assert told.returncode == 1 and "not that of the backup" in told.stderr and "HINT" in told.stderr
    states = {each: box.backup_info("main", each)["status"] for each in box.backup_ids("main")}
    bad = max(states)
    assert states == {good: "DONE", bad: "FAILED"}
    assert "not that of the backup" in box.backup_info("main", bad)["error"]
    # A restore says so as well, whatever the record says.
    record = box.path("main", "meta", f"{bad}-backup.info")
    with open(record, encoding="utf-8") as file:
        text = file.read()
    with open(record, "w", encoding="utf-8") as file:
        file.write(text.replace("status=FAILED", "status=DONE"))
    refused = box.job("restore", "main", bad, os.path.join(place, "restored"), check=False)
    assert refused.returncode == 1 and "not that of the backup" in refused.stderr
    assert not os.path.exists(os.path.join(place, "restored"))


@pytest.mark.parametrize("lost", ["checkpoint", "conflict"])
def test_no_increment_is_laid_over_another_history(place, box, lost):
    """lost: what tells of it, that the summaries don't know the backup's checkpoint, or WAL that was set aside."""
    server = Postgres(os.path.join(place, "primary"), 17)
    incoming = box.path("main", "incoming")
    server.create(summarize_wal="on", autovacuum="off", archive_mode="on", archive_command=f"cp %p {incoming}/%f")
    server.start()
    server.query("create table t as select n, 0 as v from generate_series(1, 20000) n")
    server.query("checkpoint")
    box.add_server("main", server, archiver="on", streaming_archiver="off", slot_name=None)
    box.start("archiver")
    waiting.until(lambda: os.path.isdir(incoming), "incoming/ is there")
    if lost == "conflict":
        first = box.backup("main")
    take_snapshot(server)
    server.query("update t set v = 666 where n <= 500")  # in the history that is given up
    server.query("checkpoint")
    if lost == "checkpoint":
        first = box.backup("main")
    else:
        box.wait_archived("main", write_segments(server, 2))
    server.stop("fast")
    set_back(server)
    for _ in range(8):  # beyond the end of the first backup
        server.query("insert into t select n, 1 from generate_series(100001, 101000) n")
        last = server.switch_wal()
    box.wait_archived("main", last)
    if lost == "conflict":
        waiting.until(lambda: [n for n in os.listdir(box.path("main", "errors")) if n.endswith(".duplicate")],
                      "WAL of the other history is set aside")
    second = box.backup("main")
    known = extra(box, second)
    assert known["way"] == "full"
    assert first in known["way_reason"]
    assert ("do not know the checkpoint" if lost == "checkpoint" else "two histories") in known["way_reason"]
    rows = rows_right_after(box, second, os.path.join(place, "restored"), "select count(*), count(*) filter (where v = 666) from t",
                            version=17)
    assert rows == [(28000, 0)]


def test_what_cannot_be_read_of_the_oldest_wal_does_not_end_a_recovery(place, primary, box):
    protect(box, primary, compression="zstd")
    last = write_segments(primary, 3)
    box.wait_archived("main", last)
    oldest = box.wals("main")[0]
    with open(box.path("main", "wals", oldest[:16], oldest), "r+b") as file:
        file.seek(6)
        file.write(b"\xff" * 40)
    absent = f"{last[:16]}{int(last[16:], 16) + 9:08X}"
    directory = processes.make_directory(os.path.join(place, "got"))
    told = box.cofferctl("get-wal", "-P", "--stop-at-hole", "main", absent, "--to", os.path.join(directory, "x"), check=False)
    assert told.returncode == 1, told.stderr

