"""Archiving waiting segments: Coffer with zstd, the zstd tool, Barman's gzip, pgBackRest's asynchronous push."""
import os
import time

import lab
from lib import processes, waiting
from lib.box import Box
from lib.postgres import Postgres

COUNT = int(os.environ.get("COFFER_BENCH_SEGMENTS", "200"))
BARMAN_COUNT = 40
stored = {}  # MB a segment, by contestant


def note_stored(name, directory, count):
    """What it made of the segments; every file of the directory is one of them, or small."""
    stored[name] = sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(directory) for f in names) / count / 1e6


def coffer(source, names):
    box = Box(lab.place("archive-box"))
    # Without streaming and without a server to reach: only what lies in incoming/ is archived.
    box.add_server("main", Postgres(lab.place("archive-none")), streaming_archiver="off", archiver="on", slot_name=None,
                   create_slot=None, compression="zstd")
    incoming = processes.make_directory(os.path.join(processes.make_directory(box.path("main")), "incoming"))
    lab.hard_links(source, names, incoming)
    begin = time.monotonic()
    box.start("archiver")
    waiting.file_event(incoming, lambda: not os.listdir(incoming), "all is archived", 300)
    wall = time.monotonic() - begin
    cpu = lab.cpu_seconds_of(box.archiver.process.pid)
    assert len(box.wals("main")) == len(names), "not everything was archived"
    box.stop()
    note_stored("coffer zstd", os.path.join(box.path("main"), "wals"), len(names))
    return lab.Figures(wall / len(names), cpu / len(names))


def zstd(source, names):
    target = lab.place("archive-zstd")
    figures = lab.timed(processes.AS_USER + ["zstd", "-q", "-T2", "--output-dir-flat", target,
                                             *(os.path.join(source, n) for n in names)])
    note_stored("zstd -T2", target, len(names))
    return lab.Figures(figures.wall / len(names), figures.cpu / len(names))


def barman(source, names):
    home = lab.place("archive-barman")
    configuration = lab.barman_configuration(home, compression="gzip")
    lab.hard_links(source, names[:BARMAN_COUNT], os.path.join(home, "main", "incoming"))
    figures = lab.timed(lab.in_peers(["barman", "-c", configuration, "archive-wal", "main"]))
    done = sum(len(n) for _, _, n in os.walk(os.path.join(home, "main", "wals"))) - 1
    assert done >= BARMAN_COUNT, f"Barman archived {done}"
    note_stored("barman gzip", os.path.join(home, "main", "wals"), BARMAN_COUNT)
    return lab.Figures(figures.wall / BARMAN_COUNT, figures.cpu / BARMAN_COUNT)


def pgbackrest(source, names):
    """As a server's archive_command would do it: one call a segment, the push itself in the background by two processes."""
    home = lab.place("archive-pgbackrest")
    repository, spool, logs = (processes.make_directory(os.path.join(home, n)) for n in ("repo", "spool", "log"))
    data = os.path.join(lab.PLACE, "archive-peer", "data")
    wal = os.path.join(data, "pg_wal")
    for folder in (wal, os.path.join(wal, "archive_status")):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                os.unlink(path)
    lab.hard_links(source, names, wal)
    for name in names:
        processes.write(os.path.join(wal, "archive_status", f"{name}.ready"), "")
    options = [f"--pg1-path={data}", f"--repo1-path={repository}", f"--log-path={logs}",
               f"--lock-path={home}/lock", "--stanza=main",
               "--log-level-console=error", "--log-level-file=off"]
    processes.run(lab.in_peers(["pgbackrest", *options, "--no-online", "stanza-create"]))
    push = " ".join(["pgbackrest", *options, "--compress-type=zst", "--compress-level=3", "--archive-async", f"--spool-path={spool}", "--process-max=2", "archive-push"])
    script = f'for name; do {push} "{wal}/$name" && rm -f "{wal}/archive_status/$name.ready" || exit 1; done'
    figures = lab.timed(lab.in_peers(["sh", "-c", script, "push", *names]))
    note_stored("pgbackrest async zst 3", repository, len(names))
    return lab.Figures(figures.wall / len(names), figures.cpu / len(names))


def main():
    lab.warm_memory()
    peer = lab.server("archive-peer", archive_mode="on", archive_command="true")
    source, names, _ = lab.wal_segments(COUNT, "archive-segments", peer)
    contestants = [("coffer zstd", coffer), ("zstd -T2", zstd), ("pgbackrest async zst 3", pgbackrest), ("barman gzip", barman)]
    results = lab.in_turn(lab.RUNS, *((name, lambda f=function: f(source, names)) for name, function in contestants))
    rows = [[name, 1 / lab.median_of(figures), lab.median_of(figures, "cpu") * 1000, stored[name],
             1 / lab.ratio(results, name, "zstd -T2"), 1 / lab.ratio(results, name, "barman gzip")]
            for name, figures in results.items()]
    versions = f"Barman {lab.peers_version('barman')}, pgBackRest {lab.peers_version('pgbackrest')}"
    lab.table(f"Archiving {COUNT} waiting segments of 16 MB ({versions})",
              ["tool", "segments/s", "CPU ms/segment", "MB/segment", "speed against zstd -T2", "speed against Barman's gzip"], rows)


try:
    main()
finally:
    lab.finish("archive-box", "archive-none", "archive-zstd", "archive-barman", "archive-pgbackrest", "archive-peer",
               "archive-segments")
