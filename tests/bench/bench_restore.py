"""A restore of a pgbench database to a directory, with and without reflinks, against cp -a of the same backup; and onto a
directory in which 1 % of the pages are others, against a restore of everything and rsync."""
import os
import random

import lab
from lib import disks, processes
from lib.box import Box

KINDS = os.environ.get("COFFER_BENCH_FILE_SYSTEMS", "xfs btrfs ext4").split()


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

        def one_thread():
            lab.remove(ours)
            argv = processes.AS_USER + [f"{processes.BIN}/coffer-job", "restore", "main", "latest", ours, "--jobs", "1",
                                        "--config", box.config]
            return lab.timed(argv, env=box.environment())

        results = lab.in_turn(lab.RUNS, ("coffer-job restore", coffer),
                              ("coffer-job restore --jobs 1", one_thread),
                              ("cp -a --reflink=never", lambda: copy("--reflink=never")))
        full = [[kind, name, lab.median_of(figures), lab.median_of(figures, "rss_mb"),
                 lab.ratio(results, name, "cp -a --reflink=never")] for name, figures in results.items()]
        return full, delta_on(kind, disk, box, data) if kind == "ext4" else []
    finally:
        processes.end_all_but(postgres.process)
        disk.unmount()


def spoil(directory):
    """Writes over 1 % of the pages of all tables, at random places, and makes that durable."""
    generator = random.Random(7)
    for folder, _, names in os.walk(os.path.join(directory, "base")):
        for name in names:
            path = os.path.join(folder, name)
            pages = os.path.getsize(path) // 8192
            with open(path, "r+b") as file:
                for page in generator.sample(range(pages), pages // 100):
                    file.seek(page * 8192)
                    file.write(generator.randbytes(8192))
    os.sync()


def delta_on(kind, disk, box, data):
    ours, synced = (os.path.join(disk.mount_point, name) for name in ("ours", "copied"))
    argv = processes.AS_USER + [f"{processes.BIN}/coffer-job", "restore", "main", "latest", ours, "--config", box.config]

    def full():
        lab.remove(ours)
        return lab.timed(argv, env=box.environment())

    def delta():
        spoil(ours)
        return lab.timed(argv + ["--delta-restore"], env=box.environment())

    def rsync(*options):
        spoil(synced)
        return lab.timed(processes.AS_USER + ["sh", "-c", 'rsync -a --delete --inplace "$@" && sync -f "$2"', "rsync", *options,
                                              data + "/", synced])

    results = lab.in_turn(lab.RUNS, ("restore of everything", full), ("restore --delta-restore", delta),
                          ("rsync --no-whole-file", lambda: rsync("--no-whole-file")),
                          ("rsync --checksum", lambda: rsync("--checksum")))
    return [[kind, name, lab.median_of(figures), lab.median_of(figures, "rss_mb"),
             lab.ratio(results, name, "restore of everything")] for name, figures in results.items()]


def main():
    lab.warm_memory()
    postgres = lab.server("restore-server").start(seconds=120)
    postgres.pgbench("-i", "-q", "-s", lab.SCALE, timeout=1200)
    postgres.query("checkpoint")
    measured = [restore_on(kind, postgres) for kind in KINDS]
    lab.table(f"Restore of a pgbench database, scale {lab.SCALE}, synced, on one file system",
              ["file system", "tool", "wall s", "peak RSS MB", "wall ratio"], [row for full, _ in measured for row in full])
    lab.table("Restore onto a directory in which 1 % of the pages are others, synced",
              ["file system", "tool", "wall s", "peak RSS MB", "wall ratio"], [row for _, delta in measured for row in delta])
    postgres.stop()


try:
    main()
finally:
    lab.finish("restore-server", "restore-xfs", "restore-btrfs", "restore-ext4")
