"""WAL that the server removed before it was received: remembered, and judged, until a backup makes it harmless."""
import os

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
