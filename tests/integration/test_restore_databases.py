"""Databases that are left out of a restore: they take no room, harm no recovery, and can be dropped."""
import json
import os
import threading

import psycopg2
import pytest

from lib import judge, pgroots, processes
from lib.postgres import Postgres

LOADED = ("wanted", "unwanted", "moved")


def pgbench(postgres, database, *options, **more):
    return pgroots.run(postgres.version, "pgbench", "-h", "127.0.0.1", "-p", postgres.port, "-U", "postgres", *options,
                       database, **more)


def sums(postgres, database):
    return postgres.query("select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches),"
                          " (select sum(tbalance) from pgbench_tellers), (select count(*) from pgbench_history)",
                          dbname=database)


def churn(postgres, database, turns):
    """All that WAL has other records for: indexes of all kinds, truncation, the visibility map, sequences, toast."""
    run = lambda sql: postgres.query(sql, dbname=database)
    for turn in range(turns):
        run(f"create table t{turn} (n serial, p point, a int[], t text, u text)")
        run(f"insert into t{turn} (p, a, t, u) select point(g, g), array[g % 7, g % 11], repeat(md5(g::text), 90), md5(g::text)"
            " from generate_series(1, 3000) g")
        for method, column in (("gist", "p"), ("gin", "a"), ("hash", "u"), ("brin", "n"), ("spgist", "u"), ("btree", "u")):
            run(f"create index on t{turn} using {method} ({column})")
        run(f"delete from t{turn} where n % 3 = 0")
        run(f"vacuum (freeze) t{turn}")
        run(f"update t{turn} set u = u || 'x', a = a || 5 where n % 5 = 0")
        run(f"vacuum t{turn}")
        if turn % 2:
            run(f"truncate t{turn - 1}")
            run(f"drop table t{turn}")
        run("vacuum pgbench_accounts")


class Loaded:
    """Writes to several databases until it is ended."""

    def __init__(self, postgres):
        self.postgres = postgres
        self.ended = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(name,)) for name in LOADED]
        for thread in self.threads:
            thread.start()

    def run(self, name):
        try:
            while not self.ended.is_set():
                pgbench(self.postgres, name, "-c", "2", "-t", "150", "-n")
        except Exception as failure:  # pylint: disable=broad-except
            self.failures.append(failure)

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


def make_databases(primary, space):
    primary.query(f"create tablespace fast location '{space}'")
    primary.query("create database wanted")
    primary.query("create database unwanted")
    primary.query("create database moved tablespace fast")
    primary.query('create database "Odd ""one" is_template true')
    for name in LOADED:
        pgbench(primary, name, "-i", "-q", "-s", "3")
    # Old all-visible pages that WAL comes back to, and some that it never speaks of.
    primary.query("create table still as select n, repeat('x', 500) t from generate_series(1, 20000) n", dbname="unwanted")
    primary.query("create table placed tablespace fast as select n from generate_series(1, 50000) n", dbname="unwanted")


@pytest.fixture
def protected(place, box, version):
    primary = Postgres(os.path.join(place, "primary"), version).create(max_wal_size="64MB", autovacuum_naptime="1s").start()
    space = processes.make_directory(os.path.join(place, "space"))
    make_databases(primary, space)
    primary.oids = dict(primary.query("select datname, oid from pg_database"))
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.space = space
    return primary


def room(restored, place, oid):
    """Bytes on disk of a database, in all tablespaces, and those that it seems to have."""
    used = apparent = 0
    for top in (os.path.join(restored.data, "base"), os.path.join(place, "fast")):
        for folder, _, names in os.walk(top):
            if os.path.basename(folder) != str(oid):
                continue
            for name in names:
                status = os.lstat(os.path.join(folder, name))
                used += status.st_blocks * 512
                apparent += status.st_size
    return used, apparent


def drop_lines(done):
    return [line.strip() for line in done.stdout.splitlines() if "DROP DATABASE" in line]


def in_psql(restored, lines):
    """As they are printed."""
    script = os.path.join(restored.directory, "drop.sql")
    processes.write(script, "\n".join(lines) + "\n")
    pgroots.run(restored.version, "psql", "-h", "127.0.0.1", "-p", restored.port, "-U", "postgres", "-X", "-v",
                "ON_ERROR_STOP=1", "-f", script)


def test_a_database_that_is_left_out_takes_no_room_and_can_be_dropped(place, protected, box, version):
    load = Loaded(protected)
    churn(protected, "unwanted", 2)
    backup = box.backup("main")
    churn_again = threading.Thread(target=churn, args=(protected, "wanted", 1))
    churn_again.start()
    for name in ("unwanted", "moved"):
        protected.query("create table later as select n from generate_series(1, 30000) n", dbname=name)
        protected.query("checkpoint")
        protected.query("update pgbench_accounts set filler = 'y' where aid % 7 = 0", dbname=name)
        protected.query("vacuum pgbench_accounts", dbname=name)
        protected.query("reindex table pgbench_accounts", dbname=name)
    protected.query("create database copied template wanted" if version < 15 else
                    "create database copied template postgres strategy file_copy")
    churn_again.join()
    load.end()
    churn_after = protected.query("select count(*) from t0", dbname="wanted")
    expected = sums(protected, "wanted")
    box.wait_durable(protected)
    protected.kill()
    box.stop()
    os.rename(protected.space, protected.space + ".gone")

    restored = Postgres(os.path.join(place, "restored"), version)
    restored.place_settings["restart_after_crash"] = "off"
    done = box.job("restore", "main", backup, restored.data, "--tablespace", f"fast:{place}/fast", "--exclude-database",
                   "unwanted", "--exclude-database", "moved", "--exclude-database", 'Odd "one')
    drops = drop_lines(done)
    assert len(drops) == 3
    assert sum("IS_TEMPLATE false" in line for line in drops) == 1
    for name in ("unwanted", "moved"):
        used, apparent = room(restored, place, protected.oids[name])
        assert apparent > 40 << 20 and used < 1 << 20, (name, used, apparent)
    restored.start(seconds=120)
    judge.wait_promoted(restored)
    assert sums(restored, "wanted") == expected
    assert restored.query("select count(*) from t0", dbname="wanted") == churn_after
    with pytest.raises(psycopg2.Error, match="relation mapping file"):
        restored.query("select count(*) from pgbench_accounts", dbname="unwanted")
    restored.query("checkpoint")
    restored.query("update pgbench_branches set bbalance = bbalance", dbname="wanted")
    restored.kill()  # and once more through recovery, with what was left out still there
    restored.start(seconds=120)
    in_psql(restored, drops)
    assert {row[0] for row in restored.query("select datname from pg_database")} == {
        "postgres", "template0", "template1", "wanted", "copied"}
    judge.verify_running(restored)
    assert sums(restored, "wanted") == expected
    restored.stop()
    judge.verify_stopped(restored)
    assert room(restored, place, protected.oids["unwanted"]) == (0, 0)


@pytest.fixture
def small(primary, box):
    primary.query("alter system set autovacuum = off")  # writes where and when it likes
    primary.reload()
    primary.query("create database wanted")
    primary.query("create database unwanted")
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    return primary


def restore(place, box, backup, *options):
    return box.job("restore", "main", backup, os.path.join(place, "restored", "data"), *options, check=False)


def test_names_are_held_against_the_databases_of_the_backup(place, small, box):
    backup = box.backup("main")
    for options, wanted in ((("--exclude-database", "nobody"), "it has: "),
                            (("--exclude-database", "postgres"), "always restored"),
                            (("--exclude-database", "template1"), "always restored"),
                            (("--exclude-database", "unwanted", "--only-database", "wanted"), "both excluded and chosen"),
                            (("--exclude-database", "unwanted", "--standby-mode"), "standby"),
                            (("--exclude-database", "unwanted", "--get-wal"), "--get-wal")):
        refused = restore(place, box, backup, *options)
        assert refused.returncode == 1 and wanted in refused.stderr, (options, refused.stderr)
        assert not os.path.exists(os.path.join(place, "restored"))
    told = json.loads(restore(place, box, backup, "--only-database", "wanted", "--dry-run", "--json").stdout)
    assert [each["name"] for each in told["main"]["databases_left_out"]] == ["unwanted"]
    by_cofferctl = box.cofferctl("restore", "main", backup, os.path.join(place, "restored", "data"), "--exclude-database",
                                 "wanted", "--dry-run")
    assert "left out     database wanted" in by_cofferctl.stdout


def test_the_command_spares_a_new_database_of_the_old_name(place, small, box):
    backup = box.backup("main")
    small.query("drop database unwanted")
    small.query("create database unwanted")
    small.query("create table precious as select 1", dbname="unwanted")
    box.wait_durable(small)
    small.kill()
    done = restore(place, box, backup, "--exclude-database", "unwanted")
    assert done.returncode == 0, done.stderr
    assert "dropped after the backup" in done.stdout
    restored = Postgres(os.path.join(place, "restored"), small.version).start()
    judge.wait_promoted(restored)
    in_psql(restored, drop_lines(done))
    assert restored.query("select * from precious", dbname="unwanted") == [(1,)]


def test_a_renamed_database_is_refused(place, small, box):
    backup = box.backup("main")
    small.query("alter database unwanted rename to another")
    box.wait_durable(small)
    refused = restore(place, box, backup, "--exclude-database", "unwanted")
    assert refused.returncode == 1 and "was renamed" in refused.stderr, refused.stderr
    assert not os.path.exists(os.path.join(place, "restored"))


def test_a_prepared_transaction_that_nobody_could_end_is_refused(place, small, box):
    small.query("alter system set max_prepared_transactions = 5")
    small.stop()
    small.start()
    box.wait_streaming(small)

    def prepare(name):
        with psycopg2.connect(host="127.0.0.1", port=small.port, user="postgres", dbname="unwanted") as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"begin; create table {name} (n int); prepare transaction '{name}'")

    prepare("before")
    backup = box.backup("main")
    prepare("behind")
    for name in ("before", "behind"):
        box.wait_durable(small)
        refused = restore(place, box, backup, "--exclude-database", "unwanted", "--dry-run")
        assert refused.returncode == 1 and "is prepared at the target" in refused.stderr, refused.stderr
        small.query(f"rollback prepared '{name}'", dbname="unwanted")
    box.wait_durable(small)
    done = restore(place, box, backup, "--exclude-database", "unwanted", "--dry-run")
    assert done.returncode == 0, done.stderr


def test_the_databases_of_a_directory_that_is_there_are_not_emptied(place, small, box):
    backup = box.backup("main")
    box.wait_durable(small)
    assert restore(place, box, backup).returncode == 0
    refused = restore(place, box, backup, "--delta-restore", "--only-database", "wanted")
    assert refused.returncode == 1 and "would be emptied" in refused.stderr, refused.stderr
    assert restore(place, box, backup, "--delta-restore").returncode == 0


def test_a_copy_of_what_is_left_out_would_be_empty_so_it_is_refused(place, small, box):
    backup = box.backup("main")
    small.query("create database copied template unwanted strategy file_copy")
    box.wait_durable(small)
    refused = restore(place, box, backup, "--exclude-database", "unwanted")
    assert refused.returncode == 1 and "as a copy" in refused.stderr
    assert not os.path.exists(os.path.join(place, "restored", "data", "base"))
    small.query("vacuum full pg_class", dbname="wanted")
    box.wait_durable(small)
    refused = restore(place, box, backup, "--exclude-database", "wanted")
    assert refused.returncode == 1 and "was rewritten" in refused.stderr


def test_pages_that_wal_does_not_have_whole_are_refused(place, small, box):
    small.query("create table changed as select n from generate_series(1, 1000) n", dbname="unwanted")
    small.query("create table changed as select n from generate_series(1, 1000) n", dbname="wanted")
    small.query("alter system set full_page_writes = off")
    small.reload()
    small.wait_for("select current_setting('full_page_writes') = 'off'", "full_page_writes is off")
    backup = box.backup("main")
    small.query("checkpoint")
    small.query("update changed set n = n + 1 where n = 1", dbname="unwanted")
    box.wait_durable(small)
    refused = restore(place, box, backup, "--exclude-database", "unwanted")
    assert refused.returncode == 1 and "does not have it whole" in refused.stderr
    assert not os.path.exists(os.path.join(place, "restored"))
    assert restore(place, box, backup, "--exclude-database", "wanted").returncode == 0


def test_without_page_checksums_a_page_that_vacuum_marks_is_refused(place, box):
    primary = Postgres(os.path.join(place, "primary")).create(checksums=False, autovacuum="off").start()
    primary.query("create database unwanted")
    primary.query("create table marked as select n from generate_series(1, 1000) n", dbname="unwanted")
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("select count(*) from marked", dbname="unwanted")  # sets the hint bits
    backup = box.backup("main")
    box.wait_durable(primary)
    told = restore(place, box, backup, "--exclude-database", "unwanted", "--dry-run")
    assert told.returncode == 0, told.stderr
    primary.query("vacuum marked", dbname="unwanted")
    box.wait_durable(primary)
    refused = restore(place, box, backup, "--exclude-database", "unwanted")
    assert refused.returncode == 1 and "does not have it whole" in refused.stderr
