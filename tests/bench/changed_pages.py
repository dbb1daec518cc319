"""What benchmarks of backups after some pages have changed share: the disk, the changes, Barman."""
import os
import re

import lab
from lib import disks, processes

VERSION = 18  # what the peers' root has
PGBIN = f"/usr/lib/postgresql/{VERSION}/bin"


class Volume(disks.Disk):
    def attach(self):
        processes.run(["mount", "-o", "loop,compress=zstd:3,noatime", self.image, self.mount_point])

    def used(self):
        """Bytes of (data, metadata); btrfs keeps two copies of the latter on one disk, and both are counted."""
        processes.run(["btrfs", "filesystem", "sync", self.mount_point])
        text = processes.run(["btrfs", "filesystem", "df", "-b", self.mount_point]).stdout
        used = {kind: (2 if profile == "DUP" else 1) * int(size)
                for kind, profile, size in re.findall(r"^(\w+), (\w+): total=\d+, used=(\d+)", text, re.MULTILINE)}
        return used["Data"], used["Metadata"]


class Barman:
    def __init__(self, volume, postgres, method):
        self.name = f"barman {lab.peers_version('barman').split('-')[0]}, {method}"
        self.method = method
        self.home = processes.make_directory(os.path.join(volume.mount_point, f"barman-{method}"))
        more = {"backup_method": "postgres", "streaming_archiver": "off"} if method == "incremental" else {
            "backup_method": "local-rsync", "reuse_backup": "link", "parallel_jobs": "2"}
        conninfo = postgres.conninfo()
        self.config = lab.barman_configuration(self.home, conninfo=conninfo, streaming_conninfo=conninfo,
                                               path_prefix=PGBIN, immediate_checkpoint="true", **more)
        self.incoming = os.path.join(self.home, "main", "incoming")

    def run(self, *arguments):
        argv = lab.in_peers(["barman", "-q", "-c", self.config, *arguments])
        return lab.timed(argv, env=processes.environment(HOME=self.home))

    def first(self):
        # Its check wants one segment archived before; the cron job does that.
        self.run("archive-wal", "main")
        return self.run("backup", "main")

    def increment(self):
        self.run("archive-wal", "main")
        return self.run("backup", "main", *(["--incremental", "last"] if self.method == "incremental" else []))


def change(postgres, percent):
    """Changes one row on each of so many per cent of the table's pages, chosen at random. Its new version has room on the page."""
    pages = postgres.value("select pg_relation_size('pgbench_accounts') / 8192")
    rows = postgres.value("select count(*) from pgbench_accounts where ctid < '(1,0)'::tid")
    number = pages * percent // 100
    postgres.query("update pgbench_accounts set abalance = abalance + 1 where aid = any (array("
                   f"select distinct (random() * {pages - 2})::int * {rows} + 1 from generate_series(1, {number})))")
    postgres.query("checkpoint")


def cluster_size(postgres):
    return int(postgres.value("select sum(pg_database_size(oid))::bigint from pg_database"))
