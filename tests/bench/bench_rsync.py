"""Backups by rsync after 1 % of the pages have changed at random, two rsync at a time, against Barman's with reuse_backup = link.

Both read the same data directory on the same machine and write to one btrfs with zstd.
"""
import os
import statistics

import lab
from changed_pages import VERSION, Barman, Volume, change, cluster_size
from lib import processes
from lib.box import Box

MEGABYTE = 1 << 20


class Ours:
    name = "coffer, local-rsync"

    def __init__(self, volume, postgres):
        self.box = Box(os.path.join(volume.mount_point, "box"))
        self.box.add_server("main", postgres, backup_method="local-rsync", parallel_jobs="2")
        self.box.start("streamer", "archiver")
        self.box.wait_streaming(postgres)

    def increment(self):
        return lab.timed(processes.AS_USER + [f"{processes.BIN}/coffer-job", "backup", "main", "--config", self.box.config],
                         env=self.box.environment())

    first = increment


def main():
    lab.warm_memory()
    postgres = lab.server("rsync-server", VERSION)
    volume = Volume(os.path.join(lab.place("rsync-disk"), "disk"), "btrfs", 200 * lab.SCALE + 4000)
    try:
        barman = Barman(volume, postgres, "link")
        postgres.configure(archive_mode="on", archive_command=f"cp %p {barman.incoming}/%f")
        postgres.start(seconds=120)
        postgres.pgbench("-i", "-q", "-F", "90", "-s", lab.SCALE, timeout=1200)
        postgres.query("checkpoint")
        postgres.query("select pg_switch_wal()")
        contestants = [Ours(volume, postgres), barman]
        total = cluster_size(postgres)
        first = {c.name: c.first() for c in contestants}
        figures, added = {c.name: [] for c in contestants}, {c.name: [] for c in contestants}
        for _ in range(lab.RUNS):
            change(postgres, 1)
            postgres.query("select pg_switch_wal()")
            for each in contestants:
                before = sum(volume.used())
                figures[each.name].append(each.increment())
                added[each.name].append(sum(volume.used()) - before)
        ours = contestants[0].name
        lab.table(f"Backups by rsync of {total // MEGABYTE} MB after 1 % of the pages changed, on btrfs with zstd",
                  ["tool", "first, s", "next, s", "wall against coffer", "disk added, MB", "peak RSS MB"],
                  [[c.name, first[c.name].wall, lab.median_of(figures[c.name]), lab.ratio(figures, c.name, ours),
                    statistics.median(added[c.name]) / MEGABYTE, lab.median_of(figures[c.name], "rss_mb")]
                   for c in contestants])
        contestants[0].box.stop()
        postgres.stop()
    finally:
        processes.end_all()
        volume.unmount()


try:
    main()
finally:
    lab.finish("rsync-server", "rsync-disk")
