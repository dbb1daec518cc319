"""A backup leaves one box as one file, and is restored on another that never saw its server."""
import hashlib
import json
import os
import shutil
import signal
import tarfile

import pytest

from lib import judge, pgroots, processes, waiting
from lib.barman import barman
from lib.box import Box
from lib.damage import flip
from lib.postgres import Postgres
from test_images import content, data, extra, protect
from test_kill_points import names_in_sources


def end_segment(primary, box):
    primary.query("select pg_logical_emit_message(false, 'test', 'something')")
    box.wait_archived("main", primary.value("select pg_walfile_name(pg_switch_wal())"))


@pytest.fixture
def backup(place, primary, box):
    """With a tablespace, rows, and what is odd in a tree."""
    space = processes.make_directory(os.path.join(place, "space"))
    primary.query(f"create tablespace elsewhere location '{space}'")
    primary.query("create table here as select n, md5(n::text) from generate_series(1, 5000) n")
    primary.query("create table there tablespace elsewhere as select n from generate_series(1, 1000) n")
    protect(box, primary, compression="zstd")
    taken = box.backup("main", "--name", "to go")
    end_segment(primary, box)
    return taken


def copy_of(file, path):
    """One that the tests' user may read."""
    processes.make_directory(os.path.dirname(path))
    shutil.copy(file, path)
    os.chown(path, processes.UID, processes.GID)
    return path


def export(box, backup, directory, *options, check=True):
    processes.make_directory(directory)
    done = box.cofferctl("export-backup", "main", backup, directory, *options, check=check)
    if not check:
        return done
    names = os.listdir(directory)
    assert len(names) == 1, names
    return os.path.join(directory, names[0])


@pytest.fixture
def file(place, box, backup):
    return export(box, backup, os.path.join(place, "out"))


def open_other(made, primary):
    """Another box with a server of that name, which it cannot reach."""
    made.add_server("main", primary, conninfo="host=127.0.0.1 port=1 user=nobody dbname=postgres",
                    streaming_conninfo="host=127.0.0.1 port=1 user=nobody")
    made.start("archiver")
    waiting.until(lambda: made.property("archiver", "main", "State") == "idle", "the archive is open")
    return made


@pytest.fixture
def other(place, primary):
    return open_other(Box(os.path.join(place, "other")), primary)


def nothing_left(box, backup):
    """Neither of a backup nor of an attempt at one."""
    assert box.json("list-backups", "main")["main"] == []
    box.wait_space_freed("main")
    assert not os.path.exists(box.path("main", "base", backup))
    assert not [name for name in os.listdir(box.path("main", "meta")) if name.startswith(backup)]


@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "xz", "zstd"])
def test_the_file_is_a_tar_whose_index_is_right(place, box, backup, compression):
    options = ["--compression", compression] if compression != "none" else []
    path = export(box, backup, os.path.join(place, "out"), *options)
    plain = path
    if compression == "zstd":
        assert path.endswith(".tar.zst")
        plain = path[:-4]
        processes.run(["zstd", "-q", "-d", path, "-o", plain])
    with tarfile.open(plain) as tar:
        members = tar.getmembers()
        index = tar.extractfile(members[-1]).read()
        assert members[-1].name == "index" and members[0].name == "coffer-export.json"
        assert os.path.basename(path).startswith(f"main-{backup}-{hashlib.sha256(index).hexdigest()[:16]}.tar")
        lines = index.decode().splitlines()
        assert len(lines) == len(members) - 1
        for line, member in zip(lines, members):
            kind, digest, size, mode, uid, gid, _, name = line.split(" ")
            assert (int(size), int(mode, 8), int(uid), int(gid), name) == \
                (member.size, member.mode, member.uid, member.gid, member.name)
            if kind == "F":
                assert hashlib.sha256(tar.extractfile(member).read()).hexdigest() == digest
        names = {member.name for member in members}
    wal = box.backup_info("main", backup)["end_wal"]
    assert {"backup.info", "coffer.json", "data/backup_manifest", "data/PG_VERSION", f"wal/{wal}"} <= names
    assert "data/pg_wal/archive_status" in names  # an empty directory


def test_a_box_that_never_saw_the_server_restores_it(place, primary, box, backup, file, other):
    box.stop()
    primary.stop()
    told = other.cofferctl("import-backup", "main", file).stdout
    assert f"backup {backup} is imported for server main" in told
    shown = other.json("show-backup", "main", "to go")["main"]
    assert shown["backup_id"] == backup and shown["status"] == "DONE"
    assert other.json("list-backups", "main")["main"][0]["retention_status"] == "KEEP:STANDALONE"
    assert content(data(other, backup)) == content(data(box, backup))
    assert other.json("verify-backup", "main", backup)["main"]["damaged"] is False
    assert json.loads(open(other.path("main", "identity.json"), encoding="utf-8").read())["systemid"] == \
        box.backup_info("main", backup)["systemid"]
    assert extra(other, backup)["imported_from"] == os.path.basename(file)[:-len(".tar")]
    moved = processes.make_directory(os.path.join(place, "moved"))
    restored = other.restore("main", backup, os.path.join(place, "restored"), "--tablespace", f"elsewhere:{moved}")
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from here") == 5000 and restored.value("select count(*) from there") == 1000
    restored.stop()
    # And so does Barman there.
    assert json.loads(barman(other, "-f", "json", "list-backup", "main").stdout)["main"][0]["status"] == "DONE"
    theirs = Postgres(os.path.join(place, "theirs"))
    space = processes.make_directory(os.path.join(place, "space-2"))
    barman(other, "recover", "--tablespace", f"elsewhere:{space}", "main", backup, theirs.data)
    theirs.start()
    judge.wait_promoted(theirs)
    assert theirs.value("select sum(n) from there") == 500500


def test_a_second_time_and_a_second_backup(place, box, backup, file, other):
    other.cofferctl("import-backup", "main", file)
    before = content(other.path("main"))
    assert "was imported for server main before" in other.cofferctl("import-backup", "main", file).stdout
    assert other.json("import-backup", "main", file)["main"]["already_there"] is True
    assert content(other.path("main")) == before
    # Into the box that it came from.
    refused = box.cofferctl("import-backup", "main", file, check=False)
    assert refused.returncode == 1 and f"has a backup {backup} already" in refused.stderr
    second = box.backup("main")
    end = box.backup_info("main", second)["end_wal"]
    box.wait_archived("main", end)
    again = export(box, second, os.path.join(place, "second"), "--compression", "zstd", "--compression-level", "5")
    other.cofferctl("import-backup", "main", again)
    assert other.backup_ids("main") == [backup, second]


def test_a_renamed_file_and_one_that_was_altered_are_refused(place, backup, file, other):
    def refuse(path, *words):
        refused = other.cofferctl("import-backup", "main", path, check=False)
        assert refused.returncode == 1
        assert all(word in refused.stderr for word in words), refused.stderr
        nothing_left(other, backup)

    directory = os.path.dirname(file)
    renamed = copy_of(file, os.path.join(directory, os.path.basename(file).replace("main-", "shop-")))
    refuse(renamed, "the name of this file is not the one that its content has")
    digits = os.path.basename(file).rsplit("-", 1)[1]
    renamed = copy_of(file, file.replace(digits, "0123456789abcdef.tar"))
    refuse(renamed, "the name of this file is not the one that its content has")
    with tarfile.open(file) as tar:
        member = next(m for m in tar.getmembers() if m.name == "data/PG_VERSION")
    copy = copy_of(file, os.path.join(directory, "copy", os.path.basename(file)))
    flip(copy, member.offset_data)
    refuse(copy, "is damaged or was altered", "data/PG_VERSION")
    copy_of(file, copy)
    os.truncate(copy, os.path.getsize(copy) * 2 // 3)
    refuse(copy, "HINT")
    barmans = os.path.join(directory, "main-20260101T000000-abc.tar")
    with tarfile.open(barmans, "w") as tar:
        tar.add(__file__, "identity.json")
    os.chmod(barmans, 0o644)
    refuse(barmans, "no export of Coffer's")


def test_another_clusters_backup_is_refused(place, box, backup, file, other):
    processes.make_directory(other.path("main"))
    processes.write(other.path("main", "identity.json"), json.dumps({"systemid": "7000000000000000001", "version": "15"}))
    refused = other.cofferctl("import-backup", "main", file, check=False)
    assert refused.returncode == 1 and "this catalogue belongs to 7000000000000000001" in refused.stderr
    nothing_left(other, backup)


def test_an_archive_that_holds_another_clusters_wal_stays_its_own(place, primary, backup, file):
    """No identity was noted yet: WAL came by archive_command alone."""
    foreign = Postgres(os.path.join(place, "foreign")).create()
    first = "000000010000000000000001"
    made = Box(os.path.join(place, "theirs"))
    processes.make_directory(made.path("main"))
    for folder in ("wals", f"wals/{first[:16]}"):
        processes.make_directory(made.path("main", folder))
    processes.run_as_user(["cp", os.path.join(foreign.data, "pg_wal", first), made.path("main", "wals", first[:16], first)])
    processes.write(made.path("main", "wals", "xlog.db"), f"{first}\t16777216\t1700000000.0\tNone\n")
    other = open_other(made, primary)
    refused = other.cofferctl("import-backup", "main", file, check=False)
    assert refused.returncode == 1 and "holds WAL of another system" in refused.stderr, refused.stderr
    nothing_left(other, backup)
    assert not os.path.exists(other.path("main", "identity.json"))


def test_wal_of_another_history_is_not_replaced(place, primary, box, backup, file, other):
    """The archive has the segment, with other bytes."""
    wal = box.backup_info("main", backup)["begin_wal"]
    path = other.path("main", "wals", wal[:16], wal)
    processes.make_directory(os.path.dirname(path))
    got = os.path.join(place, "got")
    box.cofferctl("get-wal", "main", wal, "--to", got)
    with open(got, "rb") as source:
        bytes_ = bytearray(source.read())
    bytes_[len(bytes_) // 2] ^= 1
    with open(path, "wb") as target:
        target.write(bytes_)
    os.chown(path, processes.UID, processes.GID)
    refused = other.cofferctl("import-backup", "main", file, check=False)
    assert refused.returncode == 1 and "the archive has other WAL of this name" in refused.stderr, refused.stderr
    with open(path, "rb") as kept:
        assert kept.read() == bytes_
    nothing_left(other, backup)
    assert other.wals("main") == [wal]
    # The same bytes are no trouble.
    copy_of(got, path)
    other.cofferctl("import-backup", "main", file)


def test_a_damaged_backup_is_not_exported(place, primary, box, backup):
    path = data(box, backup, primary.value("select pg_relation_filepath('here')"))
    flip(path, 3 * 8192 + 5000)
    refused = export(box, backup, os.path.join(place, "out"), check=False)
    assert refused.returncode == 1
    assert "is damaged and is not exported" in refused.stderr and os.path.relpath(path, data(box, backup)) in refused.stderr
    assert os.listdir(os.path.join(place, "out")) == []
    flip(path, 3 * 8192 + 5000)
    os.rename(data(box, backup, "PG_VERSION"), data(box, backup, "base", "surplus"))
    refused = export(box, backup, os.path.join(place, "out"), check=False)
    assert refused.returncode == 1 and "is not exported" in refused.stderr
    os.rename(data(box, backup, "base", "surplus"), data(box, backup, "PG_VERSION"))
    wal = box.backup_info("main", backup)["begin_wal"]
    segment = box.path("main", "wals", wal[:16], wal)
    flip(segment, os.path.getsize(segment) // 2)
    refused = export(box, backup, os.path.join(place, "out"), check=False)
    assert refused.returncode == 1 and wal in refused.stderr and os.listdir(os.path.join(place, "out")) == []


def test_what_is_wrong_with_the_call_is_said(place, box, backup):
    out = processes.make_directory(os.path.join(place, "out"))
    for options, said in (([backup, out, "--compression", "lz4"], "cannot be compressed like this"),
                          ([backup, out, "--compression", "gzip", "--compression-level", "77"], "no such level"),
                          ([backup, os.path.join(out, "absent")], "is no directory"),
                          (["20200101T000000", out], "has no backup")):
        refused = box.cofferctl("export-backup", "main", *options, check=False)
        assert refused.returncode == 1 and said in refused.stderr, refused.stderr
    told = json.loads(box.cofferctl("-f", "json", "export-backup", "main", backup, "/nonexistent", check=False).stdout)
    assert "is no directory" in told["_ERROR"][0]
    assert os.listdir(out) == []


OF_THE_ARCHIVER = ["catalogue.import.stored", "catalogue.import.published"]
STEPS = [name for name in names_in_sources() if name.startswith(("catalogue.import.", "job.import."))]


@pytest.mark.parametrize("step", [name for name in STEPS if name not in OF_THE_ARCHIVER])
def test_an_import_that_is_killed_leaves_nothing(backup, file, other, step):
    killed = other.job("import", "main", file, kill_point=step, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert other.json("list-backups", "main")["main"] == []
    assert json.loads(barman(other, "-f", "json", "list-backup", "main").stdout)["main"] in ([], {}) or \
        step == "catalogue.import.recorded"
    # The next start of the archiver clears it away; or the next try does.
    if step == "job.import.unpacked":
        other.archiver.stop()
        other.archiver.start()
        nothing_left(other, backup)
    other.cofferctl("import-backup", "main", file)
    assert other.json("verify-backup", "main", backup)["main"]["damaged"] is False


@pytest.mark.parametrize("step", OF_THE_ARCHIVER)
def test_the_archiver_killed_in_an_import_leaves_all_or_nothing(backup, file, other, step):
    other.archiver.stop()
    other.archiver.start(kill_point=step)
    failed = other.cofferctl("import-backup", "main", file, check=False)
    assert failed.returncode == 1
    other.archiver.wait_killed()
    other.archiver.start()
    if step == "catalogue.import.stored":
        waiting.until(lambda: not os.path.exists(other.path("main", "base", backup)), "what is left is removed")
        assert other.json("list-backups", "main")["main"] == []
    other.cofferctl("import-backup", "main", file)
    assert other.backup_info("main", backup)["status"] == "DONE"
    assert other.json("verify-backup", "main", backup)["main"]["damaged"] is False


def test_without_the_archiver_nothing_is_begun(backup, file, other):
    other.archiver.stop()
    refused = other.cofferctl("import-backup", "main", file, check=False)
    assert refused.returncode == 1 and "start it (systemctl start coffer-archiver)" in refused.stderr
    nothing_left(other, backup)


def test_an_import_onto_a_full_disk_leaves_nothing(place, primary, box, backup, file, disk):
    volume = disk("ext4", 60, "small")
    box.stop()
    other = open_other(Box(os.path.join(volume.mount_point, "other")), primary)
    size = sum(m.size for m in tarfile.open(file).getmembers())
    with open(os.path.join(volume.mount_point, "ballast"), "wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, max(1, volume.free() - size // 2))
    refused = other.cofferctl("import-backup", "main", file, check=False)
    assert refused.returncode == 1 and "are needed and" in refused.stderr
    nothing_left(other, backup)


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_what_is_imported_is_an_image_as_any_other(place, primary, box, backup, file, disk, kind):
    volume = disk(kind, 400, kind)
    other = open_other(Box(os.path.join(volume.mount_point, "other")), primary)
    other.cofferctl("import-backup", "main", file)
    trees = [n for n in os.listdir(other.path("main", "base", backup)) if n == "data" or n.isdigit()]
    assert len(trees) == 2
    if kind == "btrfs":
        for tree in trees:
            path = other.path("main", "base", backup, tree)
            shown = processes.run(["btrfs", "property", "get", "-ts", path, "ro"]).stdout
            assert shown.strip() == "ro=true"
    other.cofferctl("verify-backup", "main", backup)
    other.cofferctl("keep", "--release", "main", backup)
    other.cofferctl("delete", "main", backup)
    other.wait_space_freed("main")
    assert not os.path.exists(other.path("main", "base", backup))


@pytest.mark.parametrize("step", [name for name in names_in_sources() if name.startswith("job.export.")])
def test_a_file_has_its_name_only_when_it_is_whole(place, box, backup, other, step):
    out = processes.make_directory(os.path.join(place, "out"))
    killed = box.job("export", "main", backup, out, kill_point=step, check=False)
    assert killed.returncode == -signal.SIGKILL
    named = [name for name in os.listdir(out) if not name.endswith(".tmp")]
    assert len(named) == (1 if step == "job.export.done" else 0)
    for name in named:
        other.cofferctl("import-backup", "main", os.path.join(out, name))


@pytest.mark.parametrize("version", [17, 18])
def test_newer_versions_and_incremental_images(place, version):
    server = Postgres(os.path.join(place, "newer"), version).create(summarize_wal="on").start()
    box = Box(os.path.join(place, "box-newer"))
    protect(box, server)
    server.query("create table t as select n from generate_series(1, 3000) n")
    box.backup("main")
    server.query("update t set n = n + 1")
    second = box.backup("main")
    end_segment(server, box)
    path = export(box, second, os.path.join(place, "out"), "--compression", "zstd")
    server.stop()
    box.stop()
    other = Box(os.path.join(place, "other-newer"))
    other.add_server("main", server)
    other.start("archiver")
    other.cofferctl("import-backup", "main", path)
    restored = other.restore("main", second, os.path.join(place, "restored"), version=version).start()
    judge.wait_promoted(restored)
    assert restored.value("select sum(n) from t") == 3000 * 3001 // 2 + 3000
    pgroots.run(version, "pg_verifybackup", "--no-parse-wal", data(other, second))
