"""A real recovery of 200 segments whose WAL comes over ssh, against what else people use. COFFER_BENCH_SEGMENTS says how many.

Each run starts PostgreSQL on a fresh copy of one backup and ends where it has replayed the last of the segments (a recovery
target, then shutdown), so a run is the time of one process. What the others are divided by is a recovery that finds all WAL
in pg_wal.
"""
import os
import shlex
import shutil

import lab
from lib import pgroots, processes
from lib.box import Box
from lib.postgres import Postgres
from lib.wal_clients import WalHost

COUNT = int(os.environ.get("COFFER_BENCH_SEGMENTS", "200"))
SLOW_COUNT = min(COUNT, 40)  # for who needs a second a segment
AHEAD = int(os.environ.get("COFFER_BENCH_AHEAD", "8"))
FSYNC = os.environ.get("COFFER_BENCH_FSYNC", "on")


class Log:
    """A backup of a server, and the segments that it wrote afterwards."""

    def __init__(self):
        self.archive = lab.place("restore-archive")
        server = lab.server("restore-source", archive_mode="on", archive_command=f"cp %p {self.archive}/%f")
        server.start(seconds=120)
        server.pgbench("-i", "-q", "-s", "20")
        self.backup = os.path.join(lab.place("restore-backup"), "data")
        pgroots.run(15, "pg_basebackup", "-D", self.backup, "-d", server.conninfo(), "-c", "fast", "-X", "none", "--no-sync")
        begin = len(lab.whole_segments(self.archive))
        while len(lab.whole_segments(self.archive)) < begin + COUNT + 4:
            server.query("checkpoint")
            server.pgbench("-n", "-c", "4", "-j", "2", "-t", "5000",
                           env={**processes.environment(), "PGOPTIONS": "-c synchronous_commit=off"})
        server.stop()
        with open(os.path.join(self.backup, "backup_label"), encoding="ascii") as label:
            first = label.read().split("(file ")[1].split(")")[0]
        self.names = [n for n in lab.whole_segments(self.archive) if n >= first][:COUNT + 2]

    def end(self, count):
        """The LSN at which so many segments are replayed."""
        name = self.names[count]
        return f"{int(name[8:16], 16):X}/{int(name[16:], 16) << 24:X}"


def recovery(log, count, command, wal=False):
    """The time of one."""
    target = Postgres(lab.place("restore-target"))
    shutil.rmtree(target.data, ignore_errors=True)
    processes.run_as_user(["cp", "-a", log.backup, target.data])
    if wal:
        for name in log.names[:count + 2]:
            processes.run_as_user(["cp", os.path.join(log.archive, name), os.path.join(target.data, "pg_wal")])
    target.configure(restore_command=command, recovery_target_lsn=log.end(count), recovery_target_action="shutdown",
                     archive_mode="off")
    processes.write(os.path.join(target.data, "recovery.signal"), "")
    argv = ["-D", target.data, "-p", target.port, "-k", target.directory, "-c", f"fsync={FSYNC}", "-c", "shared_buffers=1GB",
            "-c", "logging_collector=off", "-c", "hot_standby=off"]
    figures = lab.timed(pgroots.command(15, "postgres", *argv), ok=(0, 1, 3))
    told = pgroots.run(15, "pg_controldata", target.data).stdout
    assert "shut down in recovery" in told, told
    return figures


def pgbackrest(log):
    """Its repository with these segments, pushed by itself; the restore_command."""
    place = lab.place("restore-pgbackrest")
    configuration = os.path.join(place, "pgbackrest.conf")
    processes.write(configuration, f"""[global]
repo1-path={place}/repo
spool-path={place}/spool
lock-path={place}/lock
log-level-console=off
log-level-file=off
compress-type=zst
process-max=2
[global:archive-get]
archive-async=y
[main]
pg1-path={log.backup}
""")
    for folder in ("repo", "spool", "lock"):
        processes.make_directory(os.path.join(place, folder))
    words = ["pgbackrest", f"--config={configuration}", "--stanza=main"]
    processes.run_as_user([*words, "--no-online", "stanza-create"])
    # It wants them where its server has them.
    for name in log.names:
        path = os.path.join(log.backup, "pg_wal", name)
        processes.run_as_user(["cp", os.path.join(log.archive, name), path])
        processes.run_as_user([*words, "archive-push", path])
        os.unlink(path)

    def run(data):
        shutil.rmtree(os.path.join(place, "spool"))
        processes.make_directory(os.path.join(place, "spool"))
        return f"{' '.join(words)} --pg1-path={data} archive-get %f %p"
    return run


def barman(log):
    """An ssh to Debian's Barman with the same segments, and its client."""
    home = lab.place("restore-barman")
    configuration = lab.barman_configuration(home)
    folder = processes.make_directory(os.path.join(home, "main", "wals", log.names[0][:16]))
    for name in log.names[:SLOW_COUNT + 2]:
        processes.run_as_user(["cp", os.path.join(log.archive, name), folder])
    host = WalHost(lab.place("restore-barman-host"), configuration, box_path="/usr/bin:/bin")
    words = ["barman-wal-restore", "-U", host.user, "-c", configuration, "box", "main"]
    return f"PATH={host.programs}:/usr/bin:/bin {shlex.join(words)} %f %p"


def main():
    lab.warm_memory(4)
    log = Log()
    box = Box(lab.place("restore-box"))
    box.add_server("main", Postgres(lab.place("restore-none")), streaming_archiver="off", archiver="on", slot_name=None,
                   create_slot=None, compression="zstd")
    incoming = processes.make_directory(os.path.join(processes.make_directory(box.path("main")), "incoming"))
    lab.hard_links(log.archive, log.names, incoming)
    box.start("archiver")
    for name in log.names:
        box.wait_archived("main", name, 240)
    box.stop()
    host = WalHost(lab.place("restore-host"), box.config)
    target = os.path.join(lab.PLACE, "restore-target", "data")

    def ours(*options):
        def run(count=COUNT):
            command = host.restore_command("-P", "--stop-at-hole", *options)
            shutil.rmtree(host.spool, ignore_errors=True)
            return recovery(log, count, command)
        return run

    runs = [("all WAL in pg_wal", lambda: recovery(log, COUNT, "false", wal=True)),
            (f"coffer-wal-restore -p {AHEAD} over ssh", ours("-p", AHEAD)),
            ("cp from a local directory", lambda: recovery(log, COUNT, f"cp {log.archive}/%f %p"))]
    if shutil.which("pgbackrest"):
        command = pgbackrest(log)
        runs.append(("pgBackRest archive-get, asynchronous, local", lambda: recovery(log, COUNT, command(target))))
    results = lab.in_turn(lab.RUNS, *runs)
    base = runs[0][0]
    lab.table(f"A recovery of {COUNT} segments", ["WAL comes from", "s", "times as long"],
              [[name, lab.median_of(figures), lab.ratio(results, name, base)] for name, figures in results.items()])
    if os.environ.get("COFFER_BENCH_SLOW", "1") == "0":
        return
    slow = lab.in_turn(1, (base, lambda: recovery(log, SLOW_COUNT, "false", wal=True)),
                       ("coffer-wal-restore over ssh, a connection each", lambda: ours()(SLOW_COUNT)),
                       ("barman-wal-restore over ssh", lambda command=barman(log): recovery(log, SLOW_COUNT, command)))
    lab.table(f"A recovery of {SLOW_COUNT} segments", ["WAL comes from", "s", "times as long"],
              [[name, lab.median_of(figures), lab.ratio(slow, name, base)] for name, figures in slow.items()])


try:
    main()
finally:
    lab.finish("restore-archive", "restore-source", "restore-backup", "restore-target", "restore-pgbackrest",
               "restore-barman", "restore-barman-host", "restore-box", "restore-none", "restore-host")
