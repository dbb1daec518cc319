"""Listing and judging a large catalogue: 1,000 backups and an index of 1,000,000 WAL files; against Barman."""
import datetime
import os

import lab
from lib import processes
from lib.box import Box
from lib.postgres import Postgres

BACKUPS = 1000
WAL = 1_000_000
PER_BACKUP = WAL // BACKUPS
# What Barman 3.20 and Coffer both read; the sizes are made up, the files are empty.
RECORD = """backup_label=None
begin_offset=40
begin_time={begin}
begin_wal={begin_wal}
begin_xlog={begin_xlog}
config_file=/data/postgresql.conf
copy_stats={{'copy_time': 100.0, 'total_time': 101.0}}
deduplicated_size=3000000000
end_offset=40
end_time={end}
end_wal={end_wal}
end_xlog={end_xlog}
error=None
hba_file=/data/pg_hba.conf
ident_file=/data/pg_ident.conf
included_files=None
mode=postgres
pgdata=/data
server_name=main
size=3000000000
status=DONE
systemid=7310000000000000001
tablespaces=None
timeline=1
version=180000
xlog_segment_size=16777216
"""


def segment(number):
    return f"00000001{number // 256:08X}{number % 256:08X}"


def lsn(number):
    return f"{number // 256:X}/{(number % 256) << 24 | 40:X}"


def fill(home):
    """A backup a day, and its WAL, up to now."""
    places = {name: processes.make_directory(os.path.join(home, "main", name))
              for name in ("", "base", "meta", "wals", "incoming", "streaming", "errors")}
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    ids = []
    for number in range(BACKUPS):
        end = now - datetime.timedelta(days=BACKUPS - number)
        first = 1 + number * PER_BACKUP
        backup = end.strftime("%Y%m%dT%H%M%S")
        ids.append(backup)
        os.makedirs(os.path.join(places["base"], backup, "data"))
        text = RECORD.format(begin=end - datetime.timedelta(minutes=5), end=end, begin_wal=segment(first),
                             end_wal=segment(first + 1), begin_xlog=lsn(first), end_xlog=lsn(first + 1))
        processes.write(os.path.join(places["meta"], f"{backup}-backup.info"), text)
    time = (now - datetime.timedelta(days=BACKUPS)).timestamp()
    with open(os.path.join(places["wals"], "xlog.db"), "w", encoding="ascii") as index:
        for number in range(1, WAL + 1):
            index.write(f"{segment(number)}\t4194304\t{time + number * 86400 / PER_BACKUP:.7f}\tzstd\n")
    os.link(os.path.join(places["wals"], "xlog.db"), os.path.join(places["wals"], "main-xlog.db"))
    processes.run(["chown", "-R", f"{processes.UID}:{processes.GID}", os.path.join(home, "main")])
    return ids


def main():
    box = Box(lab.place("catalogue-box"))
    box.add_server("main", Postgres(lab.place("catalogue-none")), compression="zstd", retention_policy="RECOVERY WINDOW OF 400 DAYS",
                   retention_tiers="7 DAILY, 5 WEEKLY, 12 MONTHLY, 3 YEARLY", wal_retention_policy="30 DAYS")
    ids = fill(box.home)
    configuration = lab.barman_configuration(lab.place("catalogue-barman"), compression="zstd",
                                             retention_policy="RECOVERY WINDOW OF 400 DAYS", backup_directory=box.path("main"))

    def coffer(*arguments):
        argv = processes.AS_USER + [os.path.join(processes.BIN, "cofferctl"), "--config", box.config, *arguments]
        return lambda: lab.timed(argv, env=box.environment())

    commands = {"list-backups": ["main"], "list-backups --minimal": ["main"], "expire --dry-run": ["main"],
                "why": ["main", ids[0]], "show-backup": ["main", ids[500]]}
    results = lab.in_turn(lab.RUNS, *((name, coffer(*name.split(), *rest)) for name, rest in commands.items()))
    # Minutes: once is enough.
    results["barman list-backups"] = [lab.timed(lab.in_peers(["barman", "-c", configuration, "list-backups", "main"]))]
    barman = results["barman list-backups"][0].wall
    rows = [[name, lab.median_of(figures) * 1000, lab.median_of(figures, "cpu") * 1000, lab.median_of(figures, "rss_mb"),
             barman / lab.median_of(figures)] for name, figures in results.items()]
    lab.table(f"{BACKUPS} backups, {WAL} WAL files (Barman {lab.peers_version('barman')})",
              ["command", "ms", "CPU ms", "RSS MB", "speed against barman list-backups"], rows)


try:
    main()
finally:
    lab.finish("catalogue-box", "catalogue-none", "catalogue-barman")
