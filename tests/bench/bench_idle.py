"""Memory and CPU of one streamer with many servers, idle and streaming."""
import select

import lab
from lib.box import Box

SERVERS = 20
SECONDS = 30


def settle(pid):
    """Until what follows a load (segments made ready, the rest of it synced) is over: ten seconds with less than 0.2 % of a processor."""
    for _ in range(30):
        before = lab.cpu_seconds_of(pid)
        select.select([], [], [], 10)
        if lab.cpu_seconds_of(pid) - before < 0.02:
            return


def observe(box, postgres, count):
    """(RSS MB, private MB, CPU %) of a streamer with count servers, each with a slot of its own on one server."""
    for number in range(count):
        box.add_server(f"s{number:02}", postgres, slot_name=f"slot{number:02}")
    box.start("streamer")
    postgres.wait_for(f"select count(*) >= {count} from pg_stat_replication where state = 'streaming'", "all stream", 60)
    postgres.pgbench("-n", "-c", 2, "-t", 2000)
    for _ in range(3):
        postgres.switch_wal()
    postgres.wait_for("select bool_and(flush_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication", "all is durable", 60)
    pid = box.streamer.process.pid
    rss, private = lab.memory_of(pid)
    settle(pid)
    cpu = lab.cpu_seconds_of(pid)
    select.select([], [], [], SECONDS)  # the idle time is what is measured
    percent = (lab.cpu_seconds_of(pid) - cpu) / SECONDS * 100
    box.stop()
    return rss, private, percent


def main():
    postgres = lab.server("idle-server", buffers="64MB")
    postgres.configure(max_wal_senders=SERVERS + 5, max_replication_slots=2 * SERVERS)
    postgres.start()
    postgres.pgbench("-i", "-q", "-s", 1)
    figures = {count: observe(Box(lab.place(f"idle-box-{count}")), postgres, count) for count in (1, SERVERS)}
    rows = [[count, *values] for count, values in figures.items()]
    rows.append(["each further", *((figures[SERVERS][i] - figures[1][i]) / (SERVERS - 1) for i in range(3))])
    lab.table("One streamer, idle after some load", ["servers", "RSS MB", "private MB", "CPU %"], rows)
    postgres.stop()


try:
    main()
finally:
    lab.finish("idle-server", "idle-box-1", f"idle-box-{SERVERS}")
