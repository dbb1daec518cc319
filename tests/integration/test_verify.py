"""verify-backup finds what is damaged in a backup at rest, by file and block, and agrees with pg_verifybackup."""
import json
import os

import pytest

from lib import pgroots
from lib.barman import barman
from test_images import data, extra, protect


@pytest.fixture
def backup(primary, box):
    protect(box, primary, compression="zstd")
    primary.query("create table t as select n, md5(n::text) from generate_series(1, 20000) n")
    primary.query("checkpoint")
    return box.backup("main")


def table(primary, box, backup):
    return data(box, backup, primary.value("select pg_relation_filepath('t')"))


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def postgres_says(box, backup):
    """Whether pg_verifybackup finds nothing."""
    return pgroots.run(15, "pg_verifybackup", "--no-parse-wal", data(box, backup), check=False).returncode == 0


def damaged(box, backup):
    """What verify-backup finds: {path: (what, blocks)}."""
    told = box.cofferctl("verify-backup", "main", backup, check=False)
    found = box.json("verify", "main", backup, check=False)["main"]
    assert told.returncode == (1 if found["damaged"] else 0), told.stderr
    for each in found["findings"]:
        assert f"damaged: {each['path']} {each['what']}" in told.stdout
    return {each["path"]: (each["what"], each["blocks"]) for each in found["findings"]}


def test_a_good_backup_is_what_was_backed_up(box, backup):
    assert damaged(box, backup) == {} and postgres_says(box, backup)
    told = box.json("verify-backup", "main", "latest")["main"]
    assert told["files"] > 900 and told["pages"] > 2000 and told["wal_files"] >= 1 and not told["notes"]
    assert extra(box, backup)["verified_at"]
    assert box.json("show-backup", "main", backup)["main"]["image_information"]["verified"]


def test_each_kind_of_damage_is_named(primary, box, backup):
    path = table(primary, box, backup)
    name = os.path.relpath(path, data(box, backup))
    flip(path, 3 * 8192 + 5000)
    flip(path, 8 * 8192 + 100)
    assert damaged(box, backup) == {name: ("has not the checksum that is in the manifest", [3, 8])}
    assert not postgres_says(box, backup)
    flip(path, 3 * 8192 + 5000)
    flip(path, 8 * 8192 + 100)
    assert damaged(box, backup) == {}

    os.rename(data(box, backup, "PG_VERSION"), data(box, backup, "base", "surplus"))
    with open(data(box, backup, "global", "pg_control"), "ab") as file:
        file.write(b"more")
    found = damaged(box, backup)
    assert {path: what for path, (what, _) in found.items()} == {
        "PG_VERSION": "is missing", "base/surplus": "is not in the manifest",
        "global/pg_control": "has 8196 bytes, 8192 in the manifest"}
    assert not postgres_says(box, backup)


def test_a_damaged_manifest_and_one_that_is_gone(box, backup):
    manifest = data(box, backup, "backup_manifest")
    flip(manifest, 2000)
    found = damaged(box, backup)
    assert list(found) == ["backup_manifest"] and not postgres_says(box, backup)
    os.unlink(manifest)
    assert damaged(box, backup)["backup_manifest"][0] == "is missing"


def test_a_backup_gets_the_manifest_that_it_lacks(box, backup):
    refused = box.cofferctl("generate-manifest", "main", backup, check=False)
    assert refused.returncode == 1 and "has a manifest already" in refused.stderr
    os.unlink(data(box, backup, "backup_manifest"))
    told = box.cofferctl("generate-manifest", "main", backup).stdout
    assert f"Backup manifest for backup '{backup}' successfully generated" in told
    assert damaged(box, backup) == {} and postgres_says(box, backup)
    flip(data(box, backup, "PG_VERSION"), 0)
    assert list(damaged(box, backup)) == ["PG_VERSION"] and not postgres_says(box, backup)


def test_what_cannot_be_verified_is_told_in_json_too(box, backup):
    os.rename(data(box, backup, "global"), data(box, backup, "elsewhere"))
    for command in ("verify-backup", "generate-manifest"):
        refused = box.cofferctl("-f", "json", command, "main", backup, check=False)
        assert refused.returncode == 1
        assert "no plain data directory" in json.loads(refused.stdout)["_ERROR"][0]


def test_a_new_cluster_is_not_pointed_at_an_archive_in_use(primary, box, backup):
    """In Barman's words."""
    def both(*options):
        told = [call(*options) for call in (ask_coffer, ask_barman)]
        assert (told[0].returncode, told[0].stdout, told[0].stderr) == (told[1].returncode, told[1].stdout, told[1].stderr)
        return told[0].returncode

    def ask_coffer(*options):
        return box.cofferctl(*options, check=False)

    def ask_barman(*options):
        return barman(box, *options, check=False)

    primary.query("select pg_logical_emit_message(false, 'test', 'something')")
    box.wait_archived("main", primary.value("select pg_walfile_name(pg_switch_wal())"))
    assert both("check-wal-archive", "main") == 1
    assert both("check-wal-archive", "main", "--timeline", "1") == 1
    assert both("check-wal-archive", "main", "--timeline", "2") == 0
    for options in ((), ("--timeline", "2")):
        told = [json.loads(call("-f", "json", "check-wal-archive", "main", *options).stdout) for call in (ask_coffer, ask_barman)]
        assert told[0] == told[1]


def test_wal_that_the_backup_needs_is_looked_at(primary, box, backup):
    primary.query("select pg_logical_emit_message(false, 'test', 'something')")
    box.wait_archived("main", primary.value("select pg_walfile_name(pg_switch_wal())"))
    first = box.backup_info("main", backup)["begin_wal"]
    segment = box.path("main", "wals", first[:16], first)
    flip(segment, os.path.getsize(segment) // 2)
    assert damaged(box, backup)[first][0] == "is damaged, and the backup needs it"
    os.unlink(segment)
    assert damaged(box, backup)[first][0] == "is missing, and the backup needs it"
