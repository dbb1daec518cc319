"""The scrub proves what is held, at a limited rate and in time; what it finds damaged is named, set aside and mended."""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from lib import judge, processes, waiting
from lib.box import Box
from lib.damage import flip
from test_images import content, data, extra, protect, verify


@pytest.fixture
def server(primary):
    """One that keeps its WAL for whoever lost it."""
    primary.configure(wal_keep_size="1GB", autovacuum="off")
    primary.reload()
    return primary


@pytest.fixture
def filled(server, box):
    protect(box, server, compression="zstd")
    server.query("create table t as select n, md5(n::text) from generate_series(1, 20000) n")
    server.query("checkpoint")
    return server


def scrub(box, *options):
    """What it says, held against its exit status: 1 while something is damaged."""
    done = box.cofferctl("-f", "json", "scrub", "main", *options, check=False)
    told = json.loads(done.stdout)
    assert "main" in told, told
    told = told["main"]
    assert done.returncode == (1 if told["damaged"] else 0), done.stdout + done.stderr
    return told


def found(told):
    return {(each["backup_id"], each["path"]): each for each in told["findings"]}


def table(server, box, backup):
    return data(box, backup, server.value("select pg_relation_filepath('t')"))


def state(box):
    with open(box.path("main", "meta", "coffer-scrub.json"), encoding="utf-8") as file:
        return json.load(file)


def set_state(box, **changes):
    processes.write(box.path("main", "meta", "coffer-scrub.json"), json.dumps(state(box) | changes))


def set_extra(box, backup, **changes):
    processes.write(box.path("main", "meta", f"{backup}-coffer.json"), json.dumps(extra(box, backup) | changes))


def archived(server, box, size="16 * 1024"):
    """Another segment in the archive; its name and path."""
    server.query(f"select pg_logical_emit_message(false, 'test', repeat('x', {size}))")
    segment = server.switch_wal()
    box.wait_archived("main", segment)
    return segment, box.path("main", "wals", segment[:16], segment)


def bytes_read_by(process):
    with open(f"/proc/{process.pid}/io", encoding="ascii") as counts:
        return int(counts.readline().split()[1])


def check_item(box):
    return box.json("check", "main", check=False)["main"]["scrub"]


def test_what_is_good_is_proven_and_said_to_be(filled, box):
    backup = box.backup("main")
    archived(filled, box)
    told = scrub(box, "--all")
    assert told["findings"] == [] and told["backups_proven"] == [backup] and told["wal_files"] >= 2
    assert told["bytes"] == told["bytes_held"] - os.path.getsize(data(box, backup, "backup_manifest"))
    assert extra(box, backup)["verified_at"] == extra(box, backup)["scrubbed_at"]
    assert box.json("show-backup", "main", backup)["main"]["scrub_information"]["damage"] == []
    assert check_item(box)["status"] == "OK" and "oldest proof" in check_item(box)["hint"]
    assert "oldest proof" in box.cofferctl("status", "main").stdout
    os.unlink(box.path("main", "meta", "coffer-scrub.json"))
    assert scrub(box, "--all")["findings"] == []


def test_a_flipped_byte_anywhere_is_found_and_named(place, server, box):
    """In each kind of file that is held, at random places."""
    space = processes.make_directory(os.path.join(place, "space"))
    protect(box, server, compression="none")
    server.query(f"create tablespace elsewhere location '{space}'")
    server.query("create table t as select n, md5(n::text) from generate_series(1, 20000) n")
    server.query("create table u tablespace elsewhere as select n, md5(n::text) from generate_series(1, 20000) n")
    server.query("checkpoint")
    backup = box.backup("main")
    plain, plain_path = archived(server, box)
    box.add_server("main", server, compression="zstd")
    waiting.until(lambda: os.path.getsize(archived(server, box)[1]) < 16 << 20, "WAL is compressed")
    packed, packed_path = archived(server, box)
    begins = box.backup_info("main", backup)
    heap, other = (server.value(f"select pg_relation_filepath('{name}')") for name in ("t", "u"))
    in_space = box.path("main", "base", backup, other.removeprefix("pg_tblspc/"))
    image = {heap: data(box, backup, heap), other: in_space, "PG_VERSION": data(box, backup, "PG_VERSION"),
             "global/pg_control": data(box, backup, "global", "pg_control"),
             "backup_manifest": data(box, backup, "backup_manifest")}
    assert begins["status"] == "DONE" and scrub(box, "--all")["findings"] == []
    chance = random.Random(4)
    for _ in range(3):
        for name, path in image.items():
            at = chance.randrange(os.path.getsize(path))
            flip(path, at)
            each = found(scrub(box, "--all"))[backup, name]
            assert each["mended_by"] == ""
            if name in (heap, other):
                assert each["blocks"] == [at // 8192]
            assert extra(box, backup)["damage"][0]["file"] == name
            flip(path, at)
            told = scrub(box)
            assert told["findings"] == [] and len(told["mended"]) == 1 and not told["damaged"]
        box.streamer.stop()  # nobody brings these again
        server.stop()
        for segment, path in ((plain, plain_path), (packed, packed_path)):
            with open(path, "rb") as file:
                good = file.read()
            proof = os.getxattr(path, "user.coffer.proof")
            flip(path, chance.randrange(64, len(good)))
            each = found(scrub(box, "--all"))["", segment]
            assert os.path.basename(each["set_aside"]).startswith(segment) and not os.path.exists(path)
            with open(path, "wb") as file:  # as whoever has a copy would
                file.write(good)
            os.setxattr(path, "user.coffer.proof", proof)
            os.chown(path, processes.UID, processes.GID)
            assert scrub(box)["mended"] == [f"WAL {segment}, with what lies in the archive now"]
        server.start()
        box.streamer.start()


@pytest.mark.parametrize("which", ["meta", "base"])
def test_a_flipped_byte_in_a_backups_record_is_found(filled, box, which):
    backup = box.backup("main")
    path = box.path("main", "meta", f"{backup}-backup.info") if which == "meta" else \
        box.path("main", "base", backup, "backup.info")
    with open(path, encoding="utf-8") as file:
        at = file.read().index("begin_wal=") + len("begin_wal=") + 23
    with open(path, "r+b") as file:
        file.seek(at)
        digit = file.read(1)
        file.seek(at)
        file.write(b"7" if digit != b"7" else b"6")
    each = found(scrub(box))[backup, "backup.info"]
    assert "begin_wal=" in each["what"] and each["mended_by"] == f"meta/{backup}-backup.info"
    assert "DAMAGED" not in box.cofferctl("list-backups", "main").stdout
    assert scrub(box)["findings"] == []


def test_damaged_wal_comes_again_from_the_server(filled, box):
    box.backup("main")
    segment, path = archived(filled, box)
    archived(filled, box)
    with open(path, "rb") as file:
        good = file.read()
    flip(path, len(good) // 2)
    each = found(scrub(box, "--all"))["", segment]
    assert each["mended_by"] == "the server" and os.path.exists(each["set_aside"])
    assert each["set_aside"].endswith(".damaged")
    assert not box.holes("main")
    box.cofferctl("get-wal", "main", segment, "-o", box.directory)
    with open(box.path("main", "wals", "xlog.db"), encoding="utf-8") as index:
        assert sum(line.startswith(segment) for line in index) == 1
    told = scrub(box, "--all")
    assert told["findings"] == [] and check_item(box)["status"] == "OK"


def test_wal_that_nobody_has_any_more_is_set_aside_and_told_of(filled, box):
    box.backup("main")
    segment, path = archived(filled, box)
    archived(filled, box)
    filled.stop()
    flip(path, os.path.getsize(path) // 2)
    told = scrub(box, "--all")
    each = found(told)["", segment]
    assert each["mended_by"] == "" and each["why_not_mended"] and each["set_aside"]
    assert box.holes("main"), "it is not in the archive"
    with open(box.path("main", "wals", "xlog.db"), encoding="utf-8") as index:
        assert segment not in index.read()
    assert check_item(box)["status"] == "FAILED" and segment in check_item(box)["hint"]
    filled.start()
    told = scrub(box)  # now the server can be asked
    assert told["mended"] == [f"WAL {segment}, with the server"] and not box.holes("main")
    assert check_item(box)["status"] == "OK"


def test_a_damaged_image_is_told_of_everywhere_and_the_next_backup_is_right(place, filled, box):
    first = box.backup("main")
    path = table(filled, box, first)
    name = os.path.relpath(path, data(box, first))
    flip(path, 3 * 8192 + 5000)
    each = found(scrub(box, "--all"))[first, name]
    assert each["blocks"] == [3] and each["mended_by"] == ""
    shown = box.cofferctl("show-backup", "main", first).stdout
    assert f"damaged: {name} has not the checksum" in shown and "blocks [3]" in shown
    assert "DAMAGED" in box.cofferctl("list-backups", "main").stdout
    assert check_item(box)["status"] == "FAILED" and name in check_item(box)["hint"]
    refused = box.job("restore", "main", first, os.path.join(place, "never", "data"), check=False)
    assert refused.returncode == 1 and name in refused.stderr and "--no-verify" in refused.stderr

    second = box.backup("main")
    verify(box, second)
    assert content(data(box, second))[name] != content(data(box, first))[name]
    told = scrub(box)  # the older one has it from the newer one
    assert len(told["mended"]) == 1 and second in told["mended"][0], told
    verify(box, first)
    assert extra(box, first).get("damage") is None and check_item(box)["status"] == "OK"
    box.restore("main", first, os.path.join(place, "restored"), "--target-immediate")


def test_auto_takes_a_sound_backup(place, filled, box):
    first = box.backup("main")
    filled.query("update t set n = n + 1")
    filled.query("checkpoint")
    second = box.backup("main")
    flip(table(filled, box, second), 3 * 8192 + 5000)
    assert scrub(box, "--all")["damaged"]
    plan = box.job("restore", "main", "auto", os.path.join(place, "planned"), "--dry-run").stdout
    assert first in plan and second not in plan


@pytest.mark.parametrize("kind", ["btrfs", "xfs", "ext4"])
def test_shared_damage_is_known_of_all_and_mended_from_bytes_of_its_own(place, filled, disk, kind):
    """A third backup that shares nothing mends the two that share the damaged file."""
    box = Box(os.path.join(disk(kind, 900, kind).mount_point, "box"))
    protect(box, filled, reuse_backup="off", slot_name="other")
    apart = box.backup("main")
    box.add_server("main", filled, slot_name="other")
    name = filled.value("select pg_relation_filepath('t')")
    second = box.backup("main")
    third = box.backup("main")
    before = {backup: content(data(box, backup)) for backup in (apart, second, third)}
    shared = {backup: os.stat(data(box, backup, name)).st_ino for backup in (second, third)}
    unshare(box, apart, name, kind)
    if kind == "ext4":
        assert shared[second] == shared[third]
        flip(data(box, second, name), 3 * 8192 + 5000)
        each = found(scrub(box, "--all"))
        first_found = [key for key in each if key[0] in (second, third)]
        assert each[first_found[0]]["shared_by"] or len(first_found) == 2
    else:
        set_writable(box, second, kind, True)
        flip(data(box, second, name), 3 * 8192 + 5000)
        set_writable(box, second, kind, False)
        assert (second, name) in found(scrub(box, "--all"))
    told = scrub(box)
    assert not told["damaged"], told
    for backup in (apart, second, third):
        verify(box, backup)
        assert content(data(box, backup)) == before[backup]
    if kind == "btrfs":
        with pytest.raises(OSError):
            open(data(box, second, "PG_VERSION"), "a", encoding="utf-8")


def unshare(box, backup, name, kind):
    """Gives the backup's file bytes of its own."""
    path = data(box, backup, name)
    set_writable(box, backup, kind, True)
    processes.run(["cp", "--reflink=never", "--preserve=all", path, path + ".own"])
    os.rename(path + ".own", path)
    set_writable(box, backup, kind, False)
    os.sync()


def set_writable(box, backup, kind, on):
    if kind == "btrfs":
        processes.run(["btrfs", "property", "set", data(box, backup), "ro", "false" if on else "true"])


def test_pages_that_were_torn_while_they_were_copied_are_no_damage(filled, box):
    """As the scrub sees one: a wrong checksum under the manifest's digest, and an LSN of the time of the backup."""
    backup = box.backup("main")
    path = table(filled, box, backup)
    lsn = box.backup_info("main", backup)["begin_xlog"].strip("'\"")
    high, low = (int(part, 16) for part in lsn.split("/"))
    with open(path, "r+b") as file:
        file.seek(2 * 8192)
        file.write(high.to_bytes(4, "little") + (low + 8).to_bytes(4, "little"))
    os.unlink(data(box, backup, "backup_manifest"))
    box.cofferctl("generate-manifest", "main", backup)
    assert scrub(box, "--all")["findings"] == []
    with open(path, "r+b") as file:  # older than the backup: it was so when it was copied, or is damaged
        file.seek(2 * 8192)
        file.write(bytes(8))
    os.unlink(data(box, backup, "backup_manifest"))
    box.cofferctl("generate-manifest", "main", backup)
    (each,) = scrub(box, "--all")["findings"]
    assert each["blocks"] == [2]


def test_an_interrupted_run_goes_on_where_it_ended(filled, box):
    backup = box.backup("main")
    size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(data(box, backup))
               for name in names if name != "backup_manifest")
    argv = [os.path.join(processes.BIN, "coffer-job"), "scrub", "main", "--all", "--rate", "3M", "--config", box.config]
    job = processes.start(processes.AS_USER + argv, os.path.join(box.directory, "scrub.log"), env=box.environment())
    waiting.until(lambda: bytes_read_by(job) > size / 4, "a part of it is read", 60, [job])
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=20) == 3
    cursor = state(box)["images"][backup]["cursor"]
    assert cursor
    told = scrub(box, "--all")
    assert told["findings"] == [] and backup in told["backups_proven"]
    assert 0 < told["bytes"] < size, "what was proven was proven again"
    assert state(box)["images"] == {}


def test_each_run_does_its_share_of_what_was_longest_unproven(filled, box):
    """One run a day proves each of four backups within the interval, and no run more than it must."""
    box.add_server("main", filled, scrub_interval="5 DAYS", reuse_backup="off")
    backups = [box.backup("main") for _ in range(4)]
    for age, backup in enumerate(reversed(backups)):
        when = time.strftime("%Y-%m-%d %H:%M:%S.000000+00:00", time.gmtime(time.time() - (age * 86400 / 2 + 3600)))
        set_extra(box, backup, verified_at=when, scrubbed_at=when)
    first = scrub(box)
    assert first["share_bytes"] * 4 >= first["bytes_held"]
    assert backups[0] in first["backups_proven"] and backups[3] not in first["backups_proven"]
    assert first["bytes"] < first["bytes_held"] * 2 / 3
    proven = set(first["backups_proven"])
    for _ in range(4):
        proven |= set(scrub(box)["backups_proven"])
    assert proven == set(backups)
    long_ago = "2026-01-01 00:00:00.000000+00:00"
    for backup in backups:
        set_extra(box, backup, verified_at=long_ago, scrubbed_at=long_ago)
    assert check_item(box)["status"] == "FAILED" and "not proven since 2026-01-01" in check_item(box)["hint"]
    assert set(scrub(box)["backups_proven"]) == set(backups), "what is overdue waits"


def test_it_can_be_switched_off(filled, box):
    box.add_server("main", filled, scrub_interval="off")
    box.backup("main")
    assert scrub(box)["bytes"] == 0
    assert check_item(box) == {"status": "OK", "hint": "off"}
    assert scrub(box, "--all")["bytes"] > 0


def test_what_backups_share_is_read_once(filled, box):
    box.backup("main"), box.backup("main")
    told = scrub(box, "--all")
    assert len(told["backups_proven"]) == 2
    assert told["bytes_read"] < told["bytes"] * 0.65, "hard links were read twice"


def test_the_scheduler_runs_it(filled, box):
    box.start("scheduler")
    backup = box.backup("main")
    told = box.cofferctl("scrub", "all", "--enqueue", "--all").stdout
    assert "queued" in told
    waiting.until(lambda: extra(box, backup).get("scrubbed_at"), "the job has proven the backup", 60)


def test_a_data_directory_that_is_gone_is_damage_until_it_is_back(filled, box):
    first, second = box.backup("main"), box.backup("main")
    os.rename(data(box, first), data(box, first) + ".away")
    told = scrub(box, "--all")
    assert "no data directory" in found(told)[first, "data"]["what"] and told["backups_proven"] == [second]
    assert "DAMAGED" in box.cofferctl("list-backups", "main").stdout and check_item(box)["status"] == "FAILED"
    os.rename(data(box, first) + ".away", data(box, first))
    told = scrub(box, "--all")
    assert told["mended"] == [f"backup {first}: data, with what lies there now"] and told["findings"] == []
    assert check_item(box)["status"] == "OK"


def test_wal_of_another_system_stays_where_it_is(filled, box):
    """As after pg_upgrade: what is archived is of the system that was."""
    box.backup("main")
    segment, path = archived(filled, box)
    box.streamer.stop(), box.archiver.stop()
    identity = box.path("main", "identity.json")
    with open(identity, encoding="utf-8") as file:
        known = json.load(file)
    processes.write(identity, json.dumps(known | {"systemid": "7000000000000000001"}))
    os.removexattr(path, "user.coffer.proof")
    box.archiver.start()
    told = scrub(box, "--all")
    assert told["findings"] == [] and told["wal_files"] >= 2 and os.path.exists(path)


def test_what_was_set_aside_and_is_whole_comes_back(filled, box):
    box.backup("main")
    segment, path = archived(filled, box)
    archived(filled, box)
    filled.stop()
    at = os.path.getsize(path) // 2
    flip(path, at)
    aside = found(scrub(box, "--all"))["", segment]["set_aside"]
    assert scrub(box)["damaged"] and not os.path.exists(path)
    flip(aside, at)  # as memory that was bad, and is replaced
    assert scrub(box)["mended"] == [f"WAL {segment}, with what was set aside: it is whole"]
    assert os.path.exists(path) and check_item(box)["status"] == "OK"
    filled.start()


def test_a_backup_that_is_deleted_meanwhile_is_no_damage(filled, box):
    first, second = box.backup("main"), box.backup("main")
    lock = box.path("main", "meta", f".{first}.lock")
    held = processes.start(processes.AS_USER + ["flock", lock, "sleep", "600"], os.path.join(box.directory, "flock.log"))

    def is_held():
        return os.path.exists(lock) and subprocess.run(["flock", "-n", "-s", lock, "true"], check=False).returncode == 1

    waiting.until(is_held, "somebody has it")
    told = scrub(box, "--all")
    processes.kill_tree(held)
    assert told["findings"] == [] and told["backups_proven"] == [second]


def test_retention_does_not_count_a_damaged_backup(filled, box):
    box.add_server("main", filled, retention_policy="REDUNDANCY 1")
    good = box.backup("main")
    filled.query("update t set n = n + 1")
    filled.query("checkpoint")
    box.add_server("main", filled, retention_policy="REDUNDANCY 2")
    newer = box.backup("main")
    flip(table(filled, box, newer), 3 * 8192 + 5000)
    assert scrub(box, "--all")["damaged"]
    box.add_server("main", filled, retention_policy="REDUNDANCY 1")
    assert "scrub found it damaged" in box.cofferctl("why", "main", newer).stdout
    assert "number 1 of the 1 newest" in box.cofferctl("why", "main", good).stdout
    box.cofferctl("expire", "main")
    assert good in box.backup_ids("main")
