"""A restore of a pgbench database to a directory, with and without reflinks, against cp -a of the same backup."""
import os

import lab
from lib import disks, processes
from lib.box import Box


def restore_on(kind, postgres):
    disk = disks.Disk(os.path.join(lab.place(f"restore-{kind}"), "disk"), kind, 45 * lab.SCALE + 2000)
    try:
        box = Box(os.path.join(disk.mount_point, "box"))
        box.add_server("main", postgres, slot_name=f"restore_{kind}")
        box.start("streamer", "archiver")
        box.wait_streaming(postgres)
        box.job("backup", "main", "--fast", timeout=900)
        box.stop()
        base = box.path("main", "base")
        data = os.path.join(base, sorted(os.listdir(base))[-1], "data")
        ours, copied = (os.path.join(disk.mount_point, name) for name in ("ours", "copied"))

        def coffer():
            lab.remove(ours)
            argv = processes.AS_USER + [f"{processes.BIN}/coffer-job", "restore", "main", "latest", ours, "--config", box.config]
            return lab.timed(argv, env=box.environment())

        def copy(*options):
            lab.remove(copied)
            # Synced at the end, as the restore is.
            return lab.timed(processes.AS_USER + ["sh", "-c", 'cp -a "$@" && sync -f "$2"', "cp", *options, data, copied])

        results = lab.in_turn(lab.RUNS, ("coffer-job restore", coffer),
                              ("cp -a --reflink=never", lambda: copy("--reflink=never")))
        return [[kind, name, lab.median_of(figures), lab.median_of(figures, "rss_mb"),
                 lab.ratio(results, name, "cp -a --reflink=never")] for name, figures in results.items()]
    finally:
        processes.end_all_but(postgres.process)
        disk.unmount()


def main():
    lab.warm_memory()
    postgres = lab.server("restore-server").start(seconds=120)
    postgres.pgbench("-i", "-q", "-s", lab.SCALE, timeout=1200)
    postgres.query("checkpoint")
    rows = [row for kind in ("xfs", "btrfs", "ext4") for row in restore_on(kind, postgres)]
    lab.table(f"Restore of a pgbench database, scale {lab.SCALE}, synced, on one file system",
              ["file system", "tool", "wall s", "peak RSS MB", "wall ratio"], rows)
    postgres.stop()


try:
    main()
finally:
    lab.finish("restore-server", "restore-xfs", "restore-btrfs", "restore-ext4")
