"""Backups after 1 % of the pages have changed at random, against pgBackRest's block incremental and Barman's two increments.

All stand on one btrfs with zstd. Then Coffer alone: the full stream against an unchanged image, ten generations of 5 %,
and the rest of a backup that was cut off at 90 %.

A page that is written alone into a compressed file takes a block of 4 kB on btrfs, however little is left of it.
"""
import functools
import json
import os
import re
import threading

import lab
from changed_pages import VERSION, Barman, Volume, change, cluster_size
from lib import processes, waiting
from lib.box import Box

MEGABYTE = 1 << 20


class Walsender(threading.Thread):
    """What the server's base backup processes read (files and sockets alike), as far as one sees while they run."""

    def __init__(self, postgres):
        super().__init__(daemon=True)
        self.postgres, self.seen, self.ended = postgres, {}, threading.Event()

    def run(self):
        while not self.ended.wait(0.02):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as command:
                        if b"walsender" not in (text := command.read()) or b"START_REPL" in text or b"streaming" in text:
                            continue
                    with open(f"/proc/{pid}/io", encoding="ascii") as io:
                        self.seen[pid] = int(re.search(r"rchar: (\d+)", io.read())[1])
                except OSError:
                    continue

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        self.bytes = max(self.seen.values(), default=0)


class Ours:
    name = "coffer"

    def __init__(self, volume, postgres):
        self.postgres = postgres
        self.box = Box(os.path.join(volume.mount_point, "box"))
        self.box.add_server("main", postgres)
        self.box.start("streamer", "archiver")
        self.box.wait_streaming(postgres)

    def command(self, *options):
        return processes.AS_USER + [f"{processes.BIN}/coffer-job", "backup", "main", "--config", self.box.config, "--fast", *options]

    def backup(self, *options):
        return lab.timed(self.command(*options), env=self.box.environment())

    first = increment = backup

    def forget_all(self):
        """As if there had been no backup yet."""
        for base, trees, _ in os.walk(self.box.path("main", "base")):
            if base != self.box.path("main", "base"):
                for tree in trees:
                    processes.run(["btrfs", "property", "set", os.path.join(base, tree), "ro", "false"], check=False)
                trees.clear()
        lab.remove(self.box.path("main", "base"))
        lab.remove(self.box.path("main", "meta"))

    def newest(self):
        meta = self.box.path("main", "meta")
        name = sorted(n for n in os.listdir(meta) if n.endswith("-coffer.json"))[-1]
        with open(os.path.join(meta, name), encoding="utf-8") as file:
            return name.removesuffix("-coffer.json"), json.load(file)


class PgBackRest:
    def __init__(self, volume, postgres):
        self.name = f"pgbackrest {lab.peers_version('pgbackrest').split('-')[0]}, block incremental"
        home = processes.make_directory(os.path.join(volume.mount_point, "pgbackrest"))
        self.config = os.path.join(home, "pgbackrest.conf")
        options = {"repo1-path": f"{home}/repo", "repo1-block": "y", "repo1-bundle": "y", "compress-type": "zst", "process-max": "2",
                   "start-fast": "y", "archive-check": "n", "log-path": home, "lock-path": f"{home}/lock", "spool-path": home,
                   "log-level-console": "warn", "pg1-path": postgres.data, "pg1-port": str(postgres.port),
                   "pg1-user": "postgres", "pg1-socket-path": postgres.directory,
                   "log-level-file": "off"}
        pg = {key: options.pop(key) for key in [k for k in options if k.startswith("pg1")]}
        sections = (("global", options), ("main", pg))
        processes.write(self.config, "".join(f"[{name}]\n" + "".join(f"{k}={v}\n" for k, v in pairs.items())
                                             for name, pairs in sections))
        self.run("stanza-create")

    def run(self, command, *options):
        return lab.timed(lab.in_peers(["pgbackrest", f"--config={self.config}", "--stanza=main", *options, command]))

    def first(self):
        return self.run("backup", "--type=full")

    def increment(self):
        return self.run("backup", "--type=incr")


def increments(postgres, volume, contestants):
    total = cluster_size(postgres)
    first = {c.name: c.first() for c in contestants}
    figures, added, read, sizes = {c.name: [] for c in contestants}, {c.name: [] for c in contestants}, [], []
    for _ in range(lab.RUNS):
        change(postgres, 1)
        postgres.query("select pg_switch_wal()")
        for each in contestants:
            before = volume.used()
            with Walsender(postgres) as walsender:
                figures[each.name].append(each.increment())
            added[each.name].append([now - then for now, then in zip(volume.used(), before)])
            if each.name == "coffer":
                read.append(walsender.bytes)
                sizes.append(each.newest()[1])
    rows = [[c.name, first[c.name].wall, lab.median_of(figures[c.name]), lab.median_of(figures[c.name]) / first[c.name].wall,
             lab.ratio(figures, c.name, "coffer"), *(lab.statistics.median(each) / MEGABYTE for each in zip(*added[c.name])),
             lab.median_of(figures[c.name], "rss_mb")] for c in contestants]
    lab.table(f"Backups of {total // MEGABYTE} MB after 1 % of the pages changed, on btrfs with zstd",
              ["tool", "first, s", "increment, s", "increment/first", "wall against coffer", "data added, MB", "metadata added, MB",
               "peak RSS MB"], rows)
    lab.table("What Coffer's increments moved", ["read by the server, %", "received, MB", "written, MB", "its pages at 4 kB each, MB", "way"],
              [[100 * r / total, s["bytes_received"] / MEGABYTE, s["bytes_written"] / MEGABYTE, s["bytes_written"] / 2 / MEGABYTE,
                s["way"]] for r, s in zip(read, sizes)])


def full_stream(ours):
    """The first backup into nothing, and the same stream compared with an unchanged image."""
    def first():
        ours.forget_all()
        return ours.backup()

    results = lab.in_turn(lab.RUNS, ("first backup", first), ("full stream against the image", lambda: ours.backup("--full")))
    lab.table("The full stream", ["backup", "wall s", "CPU s", "ratio"],
              [[n, lab.median_of(f), lab.median_of(f, "cpu"), lab.ratio(results, n, "first backup")] for n, f in results.items()])


def generations(ours, volume):
    """Ten times 5 %, then restores of the first and of the last, to the same disk, whole copies."""
    first, _ = ours.newest()
    for _ in range(10):
        change(ours.postgres, 5)
        ours.backup()
    last, _ = ours.newest()
    target = os.path.join(lab.PLACE, "increments-restored")

    def restore(backup):
        lab.remove(target)
        processes.run(["sh", "-c", "sync; echo 1 > /proc/sys/vm/drop_caches"])
        argv = processes.AS_USER + [f"{processes.BIN}/coffer-job", "restore", "main", backup, target, "--config", ours.box.config]
        return lab.timed(argv, env=ours.box.environment())
    results = lab.in_turn(lab.RUNS, ("first", functools.partial(restore, first)), ("after ten of 5 %", functools.partial(restore, last)))
    lab.table("Restore to another disk, from cold caches", ["generation", "wall s", "ratio to the first"],
              [[n, lab.median_of(f), lab.ratio(results, n, "first")] for n, f in results.items()])
    lab.remove(target)


def resumed(ours):
    """A backup into nothing is killed at 90 %; how much the next one writes."""
    ours.forget_all()
    total = cluster_size(ours.postgres)
    base = ours.box.path("main", "base")
    process = processes.start(ours.command("--full"), os.path.join(lab.PLACE, "increments-disk", "cut-off.log"),
                              env=ours.box.environment())
    waiting.until(lambda: sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(base) for name in names)
                  >= 0.9 * total, "nine tenths are copied", 600, [process])
    processes.kill_tree(process)
    (cut_off,) = os.listdir(base)
    figures = ours.backup("--full")
    _, known = ours.newest()
    assert known["base"] == cut_off, known
    lab.table("A backup that goes on after 90 %", ["size, MB", "written again, MB", "%", "wall s"],
              [[total // MEGABYTE, known["bytes_written"] / MEGABYTE, 100 * known["bytes_written"] / total, figures.wall]])


def main():
    lab.warm_memory()
    postgres = lab.server("increments-server", VERSION, summarize_wal="on")
    volume = Volume(os.path.join(lab.place("increments-disk"), "disk"), "btrfs", 200 * lab.SCALE + 4000)
    try:
        link, incremental = (Barman(volume, postgres, method) for method in ("link", "incremental"))
        postgres.configure(archive_mode="on", archive_command=" && ".join(f"cp %p {b.incoming}/%f" for b in (link, incremental)))
        postgres.start(seconds=120)
        postgres.pgbench("-i", "-q", "-F", "90", "-s", lab.SCALE, timeout=1200)
        postgres.query("checkpoint")
        postgres.query("select pg_switch_wal()")
        ours = Ours(volume, postgres)
        increments(postgres, volume, [ours, PgBackRest(volume, postgres), incremental, link])
        full_stream(ours)
        generations(ours, volume)
        resumed(ours)
        ours.box.stop()
        postgres.stop()
    finally:
        processes.end_all()
        volume.unmount()


try:
    main()
finally:
    lab.finish("increments-server", "increments-disk")
