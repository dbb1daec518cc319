"""A catalogue that Barman itself made, with a backup of each kind that its version has, and WAL in each compression."""
import os

from lib import processes
from lib.barman import NEW, Barman
from lib.postgres import Postgres

# How a backup is taken: what is set for it, and the options of the command.
_KINDS = {
    False: {
        "plain": ({}, ()),
        "gzip": ({"backup_compression": "gzip"}, ()),
        "rsync": ({"backup_method": "rsync"}, ()),
        "rsync link": ({"backup_method": "rsync", "reuse_backup": "link"}, ()),
    },
    True: {
        "gzip": ({"backup_compression": "gzip"}, ()),
        "none": ({"backup_compression": "none"}, ()),
        "rsync": ({"backup_method": "rsync", "reuse_backup": "link"}, ("--name", "by rsync")),
        "full": ({}, ()),
        "increment": ({}, ("--incremental", "latest")),
        "zstd increment": ({"backup_compression": "zstd", "backup_compression_location": "server"},
                           ("--incremental", "latest")),
    },
}
_CODECS = {False: ("gzip", "bzip2", "pygzip", "pybzip2"), True: ("gzip", "bzip2", "xz", "zstd")}


class Home:
    """A server, and Barman that looks after it. Before backup n, row n came into the tables "story" and "spaced"."""

    def __init__(self, directory, release):
        self.directory = processes.make_directory(directory)
        self.release = release
        self.new = release == NEW
        incoming = os.path.join(directory, "barman", "barman_home", "main", "incoming")
        self.postgres = Postgres(os.path.join(directory, "primary"), 18 if self.new else 15)
        self.postgres.create(archive_mode="on", archive_command=f"cp %p {incoming}/%f.tmp && mv {incoming}/%f.tmp {incoming}/%f",
                             **({"summarize_wal": "on"} if self.new else {})).start()
        self.barman = Barman(os.path.join(directory, "barman"), release, self.postgres)
        self.backups, self.rows = {}, {}  # by kind: its ID, how many rows it has
        self.segments = {}                # by codec: a segment that Barman compressed so
        self.receiver = None
        self.cut_off = None

    def fill(self):
        space = processes.make_directory(os.path.join(self.directory, "space"))
        self.postgres.query(f"create tablespace space location '{space}'")
        for table, place in (("story", ""), ("spaced", "tablespace space")):
            self.postgres.query(f"create table {table}(n int primary key, filler text) {place}")
        # A relation of more than one increment block, of which most never changes.
        self.postgres.query("create table still as select n, repeat('x', 500) filler from generate_series(1, 2000) n")
        self.barman.run("check", "main", check=False)  # makes the directories
        self.barman.run("receive-wal", "main", "--create-slot")
        self.receiver = self.barman.receive()
        self.barman.run("switch-wal", "--force", "--archive", "main")
        for kind, (settings, options) in _KINDS[self.new].items():
            self.rows[kind] = self.write()
            self.backups[kind] = self.barman.backup(*options, **settings)
        for codec in _CODECS[self.new]:
            self._compress(codec)
        self.barman.configure(compression="gzip")
        return self

    def write(self):
        """One more row in each table, and a page of the large one that differs; how many rows there are."""
        for table in ("story", "spaced"):
            self.postgres.query(f"insert into {table} select count(*) + 1, repeat(md5(random()::text), 200) from {table}")
        self.postgres.query("update still set filler = repeat('y', 500) where n = (select count(*) from story)")
        return self.postgres.value("select count(*) from story")

    def _compress(self, codec):
        """A segment that Barman archives in this compression."""
        self.barman.configure(compression=codec)
        self.write()
        self.segments[codec] = self.postgres.value("select pg_walfile_name(pg_current_wal_lsn())")
        self.barman.run("switch-wal", "--force", "--archive", "main")

    def leave(self):
        """Barman's receive-wal ends, as when its cron is taken away."""
        processes.kill_tree(self.receiver)


def check_rows(restored, rows):
    for table in ("story", "spaced"):
        assert restored.value(f"select count(*) from {table} where length(filler) = 6400") == rows
    assert restored.value("select count(*) from still") == 2000
