"""What all benchmarks share: a place, a loaded server, timing of whole processes, tables.

Machines are noisy and change their speed while one looks: two things are compared by running them in turn (A B A B …) and
quoting the median of the ratios of neighbours. Each command is run once before, so that memory and caches are warm.
"""
import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass

from lib import pgroots, processes
from lib.postgres import Postgres

PLACE = os.environ.get("COFFER_BENCH_DIR", "/var/tmp/coffer-bench")
SCALE = int(os.environ.get("COFFER_BENCH_SCALE", "200"))
RUNS = int(os.environ.get("COFFER_BENCH_RUNS", "3"))
PEERS = os.path.join(pgroots.CACHE, "peers")


@dataclass
class Figures:
    wall: float
    cpu: float = 0.0
    rss_mb: float = 0.0


def timed(argv, env=None, ok=(0,)):
    """Runs argv to its end: wall seconds, CPU seconds and peak memory (the largest process) as the kernel counts them."""
    begin = time.monotonic()
    process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=env or processes.environment(), cwd="/")
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode not in ok:
        raise AssertionError(f"{argv}\nended with {process.returncode}\n{output.decode(errors='replace')[-3000:]}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(runs, *contestants):
    """Each contestant is (name, function -> Figures); one warm-up, then in turn. {name: [Figures, …]}"""
    results = {name: [] for name, _ in contestants}
    for turn in range(runs + 1):
        for name, function in contestants:
            figures = function()
            if turn > 0:
                results[name].append(figures)
    return results


def median_of(figures, key="wall"):
    return statistics.median(getattr(f, key) for f in figures)


def ratio(results, one, other):
    """Median of the neighbours' ratios one/other in wall time (or whatever was put there)."""
    return statistics.median(a.wall / b.wall for a, b in zip(results[one], results[other]))


def table(title, columns, rows):
    """Markdown, as docs/performance.md keeps it."""
    print(f"\n### {title}\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
    print(flush=True)


def place(name):
    """An empty directory of the tests' user below PLACE."""
    processes.make_directory(PLACE)
    directory = os.path.join(PLACE, name)
    remove(directory)
    return processes.make_directory(directory)


def remove(directory):
    shutil.rmtree(directory, ignore_errors=True)


def finish(*names):
    """The end of every benchmark, whatever happened: no process and no file stays."""
    processes.end_all()
    for name in names:
        remove(os.path.join(PLACE, name))


def server(name, version=15, buffers="1GB", fsync="off", **settings):
    """A server with page checksums, not started."""
    postgres = Postgres(place(name), version)
    postgres.create(max_wal_size="4GB", autovacuum="off", **settings)
    postgres.place_settings |= {"shared_buffers": buffers, "fsync": fsync}
    return postgres


def memory_of(pid):
    """(RSS, of it not shared) in MB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        kb = {line.split(":")[0]: int(line.split()[1]) for line in rollup if line.rstrip().endswith("kB")}
    return kb["Rss"] / 1024, (kb["Private_Clean"] + kb["Private_Dirty"]) / 1024


def cpu_seconds_of(pid):
    """Of its threads that live; in nanoseconds, where /proc/PID/stat knows hundredths of a second only."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def in_peers(argv):
    """argv, as the tests' user, in the root that holds the peers' packages."""
    pgroots.ensure(18)
    return pgroots.in_root(PEERS, argv)


def peers_version(package):
    query = ["chroot", PEERS, "dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout


def warm_memory(gigabytes=4):
    """Touches memory once: what a machine took back from its guest is many times slower to write the first time."""
    # In a process of its own: a child's peak memory begins with that of the process which started it.
    touch = f"block = bytearray({gigabytes << 30}); block[::4096] = b'x' * len(block[::4096])"
    subprocess.run(["/usr/bin/python3", "-c", touch], check=True)


def wal_segments(count, name, postgres):
    """(directory, names, system identifier): real, whole segments of a pgbench load on this server, which ends stopped."""
    directory = place(name)
    postgres.configure(archive_mode="on", archive_command=f"cp %p {directory}/%f")
    postgres.start(seconds=120)
    postgres.pgbench("-i", "-q", "-s", "50")
    while len(whole_segments(directory)) < count:
        postgres.query("checkpoint")  # what is changed next is logged as whole pages: more log in less time
        postgres.pgbench("-n", "-c", "4", "-j", "2", "-t", "5000", env={**processes.environment(), "PGOPTIONS": "-c synchronous_commit=off"})
    systemid = postgres.value("select system_identifier from pg_control_system()")
    postgres.stop()
    return directory, whole_segments(directory)[:count], systemid


def whole_segments(directory):
    return sorted(n for n in os.listdir(directory)
                  if len(n) == 24 and os.path.getsize(os.path.join(directory, n)) == 16 << 20)


def hard_links(source, names, target):
    """The same files under the same names elsewhere: nothing that is measured writes into its input."""
    for name in names:
        os.link(os.path.join(source, name), os.path.join(target, name))


def barman_configuration(home, **settings):
    """A configuration file for Barman with one server, main, that it never connects to. Returns its path."""
    values = {"description": "peer", "archiver": "on", "backup_method": "postgres", "conninfo": "host=127.0.0.1 port=9",
              "streaming_conninfo": "host=127.0.0.1 port=9"} | settings
    path = os.path.join(home, "barman.conf")
    processes.write(path, f"[barman]\nbarman_home = {home}\nbarman_user = {processes.USER}\n"
                          f"configuration_files_directory = {home}/none\nlog_file = {home}/barman.log\n[main]\n"
                    + "".join(f"{k} = {v}\n" for k, v in values.items()))
    for folder in ("wals", "incoming", "streaming", "errors", "base", "meta"):
        processes.make_directory(os.path.join(home, "main", folder))
    processes.make_directory(os.path.join(home, "main"))
    return path
