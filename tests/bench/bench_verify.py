"""Proving a backup at rest, from memory and in one thread: verify-backup and the scrub against pg_verifybackup."""
import json
import os

import lab
from lib import pgroots, processes
from lib.box import Box


def job(box, *arguments):
    return processes.AS_USER + [os.path.join(processes.BIN, "coffer-job"), *arguments, "--config", box.config]


def bytes_proven(box):
    """Of the image, and of WAL as it is stored."""
    done = processes.run(job(box, "scrub", "main", "--all", "--cached", "--rate", "0", "--json"), env=box.environment())
    return json.loads(done.stdout)["main"]["bytes"]


def main():
    try:
        server = lab.server("verify-server").start(seconds=120)
        server.pgbench("-i", "-q", "-s", str(lab.SCALE))
        box = Box(lab.place("verify-box"))
        box.add_server("main", server, compression="zstd")
        box.start("streamer", "archiver")
        box.wait_streaming(server)
        backup = box.backup("main")
        data = box.path("main", "base", backup, "data")
        server.stop()
        box.stop()
        lab.warm_memory()
        size, env = bytes_proven(box), box.environment()
        results = lab.in_turn(
            lab.RUNS,
            ("verify-backup", lambda: lab.timed(job(box, "verify", "main", backup, "--jobs", "1"), env=env)),
            ("scrub", lambda: lab.timed(job(box, "scrub", "main", "--all", "--cached", "--rate", "0"), env=env)),
            ("pg_verifybackup", lambda: lab.timed(pgroots.command(15, "pg_verifybackup", "--no-parse-wal", data))))
        rows = []
        for name, figures in results.items():
            wall, cpu = lab.median_of(figures), lab.median_of(figures, "cpu")
            rows.append((name, wall, size / wall / 1e9, size / cpu / 1e9, max(f.rss_mb for f in figures),
                         lab.ratio(results, name, "pg_verifybackup")))
        lab.table(f"Proving a backup of {size / 1e6:.0f} MB, from memory, one thread",
                  ["tool", "wall s", "GB/s", "GB/s of processor time", "peak RSS MB", "wall ratio"], rows)
    finally:
        lab.finish("verify-server", "verify-box")


main()
