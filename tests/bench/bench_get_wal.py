"""Fetching 100 consecutive segments locally, one call each, as a restore_command does; against Barman."""
import os

import lab
from lib import processes
from lib.box import Box
from lib.postgres import Postgres

COUNT = 100
BARMAN_COUNT = 20
# What PostgreSQL does: it removes the file, and has a shell run the restore_command.
RECOVERY = """
import os, subprocess, sys
target, call, *names = sys.argv[1:]
for name in names:
    if os.path.exists(target):
        os.unlink(target)
    subprocess.run(["sh", "-c", "exec " + call, name], check=True)
"""


def main():
    lab.warm_memory(2)
    peer = lab.server("get-peer", archive_mode="on", archive_command="true")
    source, names, _ = lab.wal_segments(COUNT, "get-segments", peer)
    rows = []
    for compression in ("none", "zstd", "gzip"):
        box = Box(lab.place("get-box"))
        box.add_server("main", Postgres(lab.place("get-none")), streaming_archiver="off", archiver="on", slot_name=None,
                       create_slot=None, compression=compression)
        incoming = processes.make_directory(os.path.join(processes.make_directory(box.path("main")), "incoming"))
        lab.hard_links(source, names, incoming)
        box.start("archiver")
        for name in names:
            box.wait_archived("main", name, 120)
        box.stop()
        home = lab.place("get-barman")
        configuration = lab.barman_configuration(home, compression=compression)
        lab.hard_links(source, names[:BARMAN_COUNT], os.path.join(home, "main", "incoming"))
        processes.run(lab.in_peers(["barman", "-c", configuration, "archive-wal", "main"]))

        target = os.path.join(lab.place("get-target"), "RECOVERYXLOG")

        def coffer():
            call = f'{processes.BIN}/cofferctl --config {box.config} get-wal -P --stop-at-hole main "$0" --to {target}'
            figures = lab.timed(processes.AS_USER + ["/usr/bin/python3", "-c", RECOVERY, target, call, *names], env=box.environment())
            return lab.Figures(figures.wall / COUNT, figures.cpu / COUNT)

        def barman():
            call = f'barman -c {configuration} get-wal main "$0" >{target}'
            some = names[:BARMAN_COUNT]
            figures = lab.timed(lab.in_peers(["/usr/bin/python3", "-c", RECOVERY, target, call, *some]))
            return lab.Figures(figures.wall / BARMAN_COUNT, figures.cpu / BARMAN_COUNT)

        results = lab.in_turn(lab.RUNS, ("cofferctl get-wal", coffer), ("barman get-wal", barman))
        rows += [[name, compression, lab.median_of(figures) * 1000, lab.median_of(figures, "cpu") * 1000,
                  1 / lab.ratio(results, name, "barman get-wal")] for name, figures in results.items()]
    lab.table(f"Fetching consecutive segments locally, a process each (Barman {lab.peers_version('barman')})",
              ["tool", "compression", "ms/segment", "CPU ms/segment", "speed against Barman"], rows)


try:
    main()
finally:
    lab.finish("get-box", "get-none", "get-barman", "get-target", "get-peer", "get-segments")
