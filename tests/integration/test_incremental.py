"""PostgreSQL 17 and later send only what has changed; what lies here is a full backup nonetheless."""
import json
import os
import random

import pytest

from lib import judge, pgroots, processes
from lib.box import Box
from lib.damage import flip
from lib.postgres import Postgres
from test_images import content, data, extra, protect, rows_right_after, verify

MODERN = [version for version in pgroots.VERSIONS if version >= 17]
# What differs between two backups of a server on which nothing happens.
OF_EACH_BACKUP = {"backup_label", "backup_manifest", "global/pg_control"}


@pytest.fixture(params=MODERN, ids=lambda v: f"pg{v}")
def summarizing(place, request):
    server = Postgres(os.path.join(place, "primary"), request.param)
    server.create(summarize_wal="on", autovacuum="off", max_wal_size="64MB").start()
    return server


@pytest.fixture
def modern(place):
    server = Postgres(os.path.join(place, "primary"), MODERN[-1])
    server.create(summarize_wal="on", autovacuum="off").start()
    server.pgbench("-i", "-q", "-s", "2")
    return server


def by_postgres(server, directory, since=None):
    """A base backup by pg_basebackup; incremental with the directory of an earlier one."""
    options = ["--incremental", os.path.join(since, "backup_manifest")] if since else []
    pgroots.run(server.version, "pg_basebackup", "-D", directory, "-d", server.conninfo(), "-c", "fast", "-X", "none",
                "--no-sync", *options)
    return directory


def combined(server, directory, *chain):
    pgroots.run(server.version, "pg_combinebackup", "-o", directory, "--no-sync", *chain)
    return directory


def manifest(directory):
    with open(os.path.join(directory, "backup_manifest"), encoding="utf-8") as file:
        return {each["Path"]: (each["Size"], each["Checksum-Algorithm"], each["Checksum"])
                for each in json.load(file)["Files"] if each["Path"] not in OF_EACH_BACKUP}


class Changes:
    """All that can happen to files of relations, a little of each in every round."""

    def __init__(self, server, seed):
        self.server, self.random, self.round = server, random.Random(seed), 0
        for name in ("grows", "shrinks", "rewritten", "emptied", "updated"):
            server.query(f"create table {name} (n int, t text)")
            server.query(f"insert into {name} select n, repeat('x', 300) from generate_series(1, 4000) n")
            server.query(f"create index on {name} (n)")
        server.query("create unlogged table unlogged as select n from generate_series(1, 1000) n")
        server.query("create database copied_whole strategy file_copy")

    def more(self):
        self.round += 1
        first = self.random.randrange(3000)
        ask = self.server.query
        ask(f"insert into grows select n, repeat('y', 300) from generate_series(1, {self.random.randrange(5000)}) n")
        ask(f"delete from shrinks where n > {4000 - self.round * 900}")
        ask("vacuum (truncate) shrinks")
        if self.round % 2 == 0:
            ask("insert into shrinks select 5000, repeat('z', 300) from generate_series(1, 700)")
        ask("cluster rewritten using rewritten_n_idx")
        ask("truncate emptied")
        ask("insert into emptied select n, 'e' from generate_series(1, 50) n")
        ask(f"update updated set t = repeat('u', 290) where n between {first} and {first + 40}")
        ask(f"create table new_{self.round} as select n from generate_series(1, 2000) n")
        ask(f"drop table if exists new_{self.round - 1}")
        ask("vacuum updated")
        ask(f"drop database if exists copied_{self.round - 1}")
        ask(f"create database copied_{self.round} strategy file_copy")
        ask("checkpoint")


def test_the_image_is_byte_for_byte_what_pg_combinebackup_makes(place, box, summarizing):
    server = summarizing
    changes = Changes(server, seed=17)
    protect(box, server)
    first = box.backup("main")
    chain = [by_postgres(server, os.path.join(place, "full"))]
    before, earlier = content(data(box, first)), first
    for round_ in range(1, 4):
        changes.more()
        chain.append(by_postgres(server, os.path.join(place, f"increment{round_}"), chain[-1]))
        backup = box.backup("main")
        known = extra(box, backup)
        assert (known["way"], known["base"], known["way_reason"]) == ("incremental", earlier, ""), known
        assert known["bytes_received"] < int(box.backup_info("main", backup)["size"]) / 2
        ours, theirs = data(box, backup), combined(server, os.path.join(place, f"whole{round_}"), *chain)
        expected, found = content(theirs), content(ours)
        for name in OF_EACH_BACKUP:
            expected.pop(name), found.pop(name)
        assert found == expected
        assert manifest(ours) == manifest(theirs)
        assert "INCREMENTAL" not in open(os.path.join(ours, "backup_label"), encoding="utf-8").read()
        verify(box, backup, server.version)
        earlier = backup
    assert content(data(box, first)) == before, "an earlier image was written to"
    counts = "select (select count(*) from grows), (select count(*) from shrinks), (select sum(n) from updated)"
    assert rows_right_after(box, "latest", os.path.join(place, "restored"), counts, server.version) == server.query(counts)


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_a_changed_page_is_all_that_is_sent_and_stored(place, modern, disk, kind):
    volume = disk(kind, 700, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    protect(box, modern)
    first = box.backup("main")
    modern.query("update pgbench_branches set bbalance = 5")
    modern.query("checkpoint")
    second = box.backup("main", "--incremental", first)
    size, known = int(box.backup_info("main", second)["size"]), extra(box, second)
    assert known["way"] == "incremental"
    assert known["bytes_received"] < size / 5 and known["bytes_written"] < size / 20, known
    box.cofferctl("delete", "main", first)
    assert rows_right_after(box, second, os.path.join(place, "restored"), "select distinct bbalance from pgbench_branches",
                            modern.version) == [(5,)]


def reason_of_full(box, *options):
    backup = box.backup("main", *options)
    known = extra(box, backup)
    assert known["way"] == "full", known
    verify(box, backup, MODERN[-1])
    return known["way_reason"]


def drop_summaries_since(directory, lsn):
    """All but the one that ends there: TTTTTTTTSSSSSSSSSSSSSSSSEEEEEEEEEEEEEEEE.summary."""
    end = "".join(f"{int(half, 16):08X}" for half in lsn.split("/"))
    for name in os.listdir(directory):
        if name[24:40] != end:
            os.unlink(os.path.join(directory, name))


def test_the_full_stream_is_taken_where_it_must_and_the_record_says_why(box, modern):
    protect(box, modern)
    assert reason_of_full(box) == "there is no earlier backup"
    assert reason_of_full(box, "--full") == "it was asked for"
    base = box.backup("main")
    assert extra(box, base)["way"] == "incremental"

    modern.configure(summarize_wal="off")
    modern.reload()
    modern.wait_for("select current_setting('summarize_wal') = 'off'", "no summaries")
    assert "summarize_wal is off" in reason_of_full(box)
    refused = box.job("backup", "main", "--incremental", "latest", check=False)
    assert refused.returncode == 1 and "summarize_wal is off" in refused.stderr and "HINT" in refused.stderr
    # What the server has of WAL summaries ends where a backup begins: the server itself refuses, and the same job goes on.
    modern.query("update pgbench_branches set bbalance = 1")
    modern.switch_wal()
    modern.query("checkpoint")
    summaries = os.path.join(modern.data, "pg_wal", "summaries")
    drop_summaries_since(summaries, box.backup_info("main", base)["begin_xlog"])
    modern.configure(summarize_wal="on")
    modern.reload()
    modern.wait_for("select current_setting('summarize_wal') = 'on'", "summaries again")
    drop_summaries_since(summaries, box.backup_info("main", base)["begin_xlog"])
    assert "the incremental one failed" in reason_of_full(box)
    assert extra(box, box.backup("main"))["way"] == "incremental"
    assert "FAILED" not in {box.backup_info("main", each)["status"] for each in box.backup_ids("main")}


def test_every_page_is_read_again_after_the_interval(box, modern):
    protect(box, modern, full_read_interval="2 DAYS")
    first = box.backup("main")
    second = box.backup("main")
    assert extra(box, second)["full_read_at"] == extra(box, first)["full_read_at"]
    known = extra(box, second)
    known["full_read_at"] = "2026-01-01 00:00:00+00:00"
    with open(box.path("main", "meta", f"{second}-coffer.json"), "w", encoding="utf-8") as file:
        json.dump(known, file)
    assert "full_read_interval" in reason_of_full(box)
    assert extra(box, box.backup("main"))["way"] == "incremental"


def test_switching_checksums_makes_the_next_one_full(box, modern):
    protect(box, modern)
    box.backup("main")
    modern.stop()
    pgroots.run(modern.version, "pg_checksums", "--disable", "-D", modern.data)
    modern.start()
    assert "data checksums are off" in reason_of_full(box)


def test_damage_of_the_base_is_never_taken_for_right(box, modern):
    protect(box, modern)
    first = box.backup("main")
    path = modern.value("select pg_relation_filepath('pgbench_accounts')")
    # A block that does not change: the manifest keeps saying what it was.
    flip(data(box, first, path), 8192 * 700 + 5000)
    modern.query("update pgbench_accounts set abalance = 7 where aid = 1")
    modern.query("checkpoint")
    second = box.backup("main")
    assert extra(box, second)["way"] == "incremental"
    judged = pgroots.run(modern.version, "pg_verifybackup", "--no-parse-wal", data(box, second), check=False)
    assert judged.returncode != 0 and path in judged.stderr
    # One that does: it is found when it is overwritten, and the full stream mends all of it.
    flip(data(box, second, path), 5000)
    modern.query("update pgbench_accounts set abalance = 8 where aid = 2")
    modern.query("checkpoint")
    assert "is damaged in block 0" in reason_of_full(box)


def test_tablespaces_that_come_change_and_go(place, box, modern):
    protect(box, modern)
    for name in ("stays", "goes", "comes"):
        processes.make_directory(os.path.join(place, name))
    for name in ("stays", "goes"):
        modern.query(f"create tablespace {name} location '{os.path.join(place, name)}'")
        modern.query(f"create table in_{name} tablespace {name} as select n from generate_series(1, 5000) n")
    box.backup("main")
    gone = modern.value("select oid from pg_tablespace where spcname = 'goes'")
    modern.query("update in_stays set n = 0 where n = 5000")
    modern.query("drop table in_goes")
    modern.query("drop tablespace goes")
    modern.query(f"create tablespace comes location '{os.path.join(place, 'comes')}'")
    modern.query("create table in_comes tablespace comes as select n from generate_series(1, 100) n")
    modern.query("checkpoint")
    backup = box.backup("main")
    assert extra(box, backup)["way"] == "incremental"
    verify(box, backup, modern.version)
    assert not os.path.exists(box.path("main", "base", backup, str(gone)))
    mapping = [f"--tablespace={name}:{os.path.join(place, 'new', name)}" for name in ("stays", "comes")]
    restored = box.restore("main", backup, os.path.join(place, "restored"), *mapping, version=modern.version).start()
    judge.wait_promoted(restored)
    assert restored.query("select (select min(n) from in_stays), (select count(*) from in_comes)") == [(0, 100)]
    restored.stop()
    judge.verify_stopped(restored)


def test_a_cut_off_incremental_backup_begins_anew(box, modern):
    protect(box, modern)
    first = box.backup("main")
    modern.query("update pgbench_accounts set abalance = 7 where aid < 5000")
    modern.query("checkpoint")
    box.job("backup", "main", kill_point="job.backup.copied", check=False)
    backup = box.backup("main")
    known = extra(box, backup)
    assert (known["way"], known["base"]) == ("incremental", first)
    verify(box, backup, modern.version)
    assert sorted(os.listdir(box.path("main", "base")))[-1] == backup
    assert sum(os.path.exists(data(box, each)) for each in box.backup_ids("main")) == 2
