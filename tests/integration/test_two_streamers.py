"""Two streamers on one directory: the second one waits, with a clear error, until the first is gone."""
import os

from lib import waiting
from lib.box import Box


def error(box):
    return str(box.property("streamer", "main", "LastError")[1])


def test_only_one_streamer_writes_into_a_directory(place, primary, box):
    other = Box(os.path.join(place, "other"))  # its bus and its slot are others
    box.add_server("main", primary)
    other.add_server("main", primary, slot_name="other", streaming_wals_directory=box.path("main", "streaming"))
    box.start("streamer")
    box.wait_streaming(primary)
    other.start("streamer")
    waiting.until(lambda: "another streamer receives into" in error(other), "the second is told", 20,
                  [other.streamer.process])
    assert other.property("streamer", "main", "State") == "waiting"
    assert primary.value("select count(*) from pg_replication_slots where slot_name = 'other'") == 0
    box.streamer.kill()
    primary.wait_for("select bool_or(active) from pg_replication_slots where slot_name = 'other'",
                     "the second takes over", 30)
    other.streamer.stop()


def test_a_second_service_on_the_bus_does_not_stream(primary, box):
    box.add_server("main", primary)
    box.start("streamer")
    box.wait_streaming(primary)
    first, box.streamer.process = box.streamer.process, None
    box.streamer.start(wait=False)
    assert box.streamer.process.wait(timeout=30) == 1
    assert "another streamer receives into" not in box.streamer.log_tail(200)
    assert first.poll() is None
