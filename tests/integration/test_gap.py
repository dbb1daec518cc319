"""WAL that the server removed before it was received: remembered, and judged, until a backup makes it harmless."""
import glob
import os

import pytest

from lib import waiting


def check(box):
    return box.json("check", "main", check=False)["main"]


def test_a_gap_is_known_after_a_restart_and_harmless_after_a_backup(box, primary):
    box.add_server("main", primary, slot_name=None)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.wait_durable(primary)
    box.backup("main")
    assert "wal_gap" not in check(box)
    box.streamer.stop()
    first = primary.switch_wal()
    for _ in range(2):
        primary.switch_wal()
    primary.query("checkpoint")
    waiting.until(lambda: not os.path.exists(os.path.join(primary.data, "pg_wal", first)), "it is removed", 20)
    box.streamer.start()
    box.wait_streaming(primary)
    box.wait_durable(primary)
    gap = str(box.property("streamer", "main", "LastGap"))
    assert gap.startswith("timeline 1 from ")

    box.streamer.stop()
    box.streamer.start()
    box.wait_streaming(primary)
    assert box.property("streamer", "main", "LastGap") == gap
    judged = check(box)["wal_gap"]
    assert judged["status"] == "FAILED" and gap in judged["hint"]
    assert gap in box.cofferctl("status", "main").stdout

    box.backup("main")
    assert check(box)["wal_gap"]["status"] == "OK"


@pytest.mark.parametrize("slot", [None, "coffer"])
def test_streaming_goes_on_behind_the_gap_not_before_it_again(box, primary, slot):
    box.add_server("main", primary, slot_name=slot)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.wait_durable(primary)
    box.streamer.stop()
    before = set(glob.glob(box.path("main", "streaming", "*.partial")))
    if slot:
        primary.query(f"select pg_drop_replication_slot('{slot}')")
    removed = [primary.switch_wal() for _ in range(3)]
    primary.query("checkpoint")
    waiting.until(lambda: not os.path.exists(os.path.join(primary.data, "pg_wal", removed[-1])), "they are removed", 20)
    box.streamer.start()
    box.wait_streaming(primary)
    box.wait_durable(primary)
    gap = str(box.property("streamer", "main", "LastGap"))
    behind = [primary.switch_wal() for _ in range(2)]
    for segment in behind:
        box.wait_archived("main", segment)
    box.streamer.stop()
    # The moment just after a segment was finished, when none is begun.
    for partial in set(glob.glob(box.path("main", "streaming", "*.partial"))) - before:
        os.remove(partial)
    assert len(before) == 1 and glob.glob(box.path("main", "streaming", "*")) == list(before)

    kept = [primary.switch_wal() for _ in range(3)]
    box.streamer.start()
    box.wait_streaming(primary)
    box.wait_durable(primary)
    for segment in kept:
        box.wait_archived("main", segment)
    assert not box.holes("main")
    assert box.property("streamer", "main", "LastGap") == gap
    with open(box.path("main", "meta", "coffer-wal-gaps"), encoding="utf-8") as file:
        assert [line.split(" ", 1)[1].strip() for line in file] == [gap]


def test_what_the_server_still_has_behind_a_gap_is_received(box, primary):
    box.add_server("main", primary, slot_name=None)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.wait_durable(primary)
    box.streamer.stop()
    removed = [primary.switch_wal() for _ in range(3)]
    primary.query("checkpoint")
    waiting.until(lambda: not os.path.exists(os.path.join(primary.data, "pg_wal", removed[-1])), "they are removed", 20)
    kept = [primary.switch_wal() for _ in range(3)]
    box.streamer.start()
    for segment in kept:
        box.wait_archived("main", segment)
    assert box.wals("main") == kept
    assert str(box.property("streamer", "main", "LastGap")).endswith(f"/{int(kept[0][16:], 16) << 24:X}")
