"""A base backup of a pgbench database to the same disk, against pg_basebackup -Fp."""
import os

import lab
from lib import pgroots, processes
from lib.box import Box


def main():
    lab.warm_memory()
    postgres = lab.server("backup-server").start(seconds=120)
    postgres.pgbench("-i", "-q", "-s", lab.SCALE, timeout=1200)
    postgres.query("checkpoint")
    box = Box(lab.place("backup-box"))
    box.add_server("main", postgres)
    box.start("streamer", "archiver")
    box.wait_streaming(postgres)
    target = os.path.join(lab.PLACE, "backup-peer")

    def peer():
        lab.remove(target)
        return lab.timed(pgroots.command(postgres.version, "pg_basebackup", "-D", target, "-d", postgres.conninfo(), "-Fp",
                                         "-c", "fast"))

    def coffer():
        lab.remove(box.path("main", "base"))
        lab.remove(box.path("main", "meta"))
        argv = processes.AS_USER + [f"{processes.BIN}/coffer-job", "backup", "main", "--config", box.config, "--fast"]
        return lab.timed(argv, env=box.environment())

    results = lab.in_turn(lab.RUNS, ("coffer", coffer), ("pg_basebackup -Fp", peer))
    size = postgres.value("select pg_size_pretty(sum(pg_database_size(oid))) from pg_database")
    rows = [[name, *(lab.median_of(figures, key) for key in ("wall", "cpu", "rss_mb")),
             lab.ratio(results, name, "pg_basebackup -Fp")] for name, figures in results.items()]
    lab.table(f"Base backup of {size} to the same disk", ["tool", "wall s", "CPU s (tool)", "peak RSS MB", "wall ratio"], rows)
    box.stop()
    postgres.stop()


try:
    main()
finally:
    lab.finish("backup-server", "backup-box", "backup-peer")
