"""A server on which nothing happens: backups end, and the box sleeps."""
import os
import time

from lib import judge


def test_a_backup_of_an_idle_server_ends_within_seconds(place, primary, box):
    """Whatever its archive_command does: the streamed unfinished segment is enough."""
    primary.configure(archive_mode="on", archive_command="false")
    primary.stop()
    primary.start()
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    began = time.monotonic()
    backup = box.backup("main")
    assert time.monotonic() - began < 10
    assert box.backup_info("main", backup)["status"] == "DONE"
    restored = box.restore("main", backup, os.path.join(place, "restored"))
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)


def cpu_ticks(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_idle_services_use_no_processor(primary, box):
    box.add_server("main", primary)
    box.start()
    box.wait_streaming(primary)
    box.wait_durable(primary)
    processes = [service.process for service in box.services.values()]
    before = [cpu_ticks(process) for process in processes]
    # Time itself is what is measured against here.
    primary.query("select pg_sleep(10)")
    used = [(after - now) / os.sysconf("SC_CLK_TCK") for after, now in zip(map(cpu_ticks, processes), before)]
    assert all(seconds <= 0.1 for seconds in used), f"{used} s of processor time within 10 s"
