"""The home of a Barman, 3.4 and 3.20, is taken over as it is: its files, its configuration, without a change."""
import hashlib
import json
import os
import shutil

import pytest

from lib import barman, judge, pgroots, processes, waiting
from lib.barman import NEW, OLD
from lib.barman_home import Home, check_rows
from lib.box import Box
from lib.postgres import Postgres


@pytest.fixture(scope="module", params=(OLD, NEW), ids=lambda r: f"barman{r}")
def home(base, request):
    yield Home(os.path.join(base, f"takeover-{request.param}"), request.param).fill()
    processes.end_all()


@pytest.fixture(scope="module")
def box(home):
    """Coffer on the very same configuration file."""
    made = Box(os.path.join(home.directory, "box"))
    made.config, made.home = home.barman.config, home.barman.home
    return made


def restore(home, box, backup, name, *options):
    """By Coffer, with the tablespace in a new place."""
    directory = os.path.join(home.directory, name)
    space = processes.make_directory(os.path.join(directory, "space"))
    return box.restore("main", backup, directory, "--tablespace", f"space:{space}", *options,
                       version=home.postgres.version)


def promoted(restored, rows):
    restored.start()
    judge.wait_promoted(restored)
    check_rows(restored, rows)
    restored.stop()
    judge.verify_stopped(restored)
    shutil.rmtree(restored.directory)


def test_every_backup_is_listed_as_barman_lists_it(home, box):
    ours, theirs = box.json("list-backups", "main")["main"], home.barman.json("list-backups", "main")["main"]
    assert [each["backup_id"] for each in ours] == sorted(home.backups.values(), reverse=True)
    for one, other in zip(ours, theirs):
        other.pop("tablespaces", None)
        if not home.new:  # which has the tablespaces of postgres backups only
            assert one["tablespaces"] == [{"name": "space", "location": f"{home.directory}/space"}]
        assert {key: one.get(key) for key in other} == other


def test_show_backup_has_what_barman_shows(home, box):
    for backup in home.backups.values():
        ours, theirs = (asked("show-backup", "main", backup)["main"] for asked in (box.json, home.barman.json))
        for key in ("backup_id", "status", "backup_name", "backup_type", "postgresql_version", "pgdata_directory"):
            if key in theirs:
                assert ours[key] == theirs[key]
        assert ours["catalog_information"] == ours["catalog_information"] | theirs["catalog_information"]
        base = theirs["base_backup_information"]
        for key in ("begin_wal", "end_wal", "begin_lsn", "end_lsn", "begin_time", "end_time", "timeline", "wal_num"):
            assert key not in base or ours["base_backup_information"][key] == base[key], key


@pytest.mark.parametrize("target", ("data", "standalone", "wal", "full"))
def test_list_files_names_what_barman_names(home, box, target):
    for backup in (min(home.backups.values()), max(home.backups.values())):
        ours, theirs = (asked("list-files", "main", backup, "--target", target).stdout.split("\n")
                        for asked in (box.cofferctl, home.barman.run))
        # What is not archived yet is WAL of the backup for us.
        ours = {line for line in ours if "/streaming/" not in line}
        assert ours == {os.path.normpath(line) if line else line for line in theirs}


def test_wal_of_each_compression_is_given(home, box):
    for codec, segment in home.segments.items():
        digests = []
        for name, asked in (("coffer", box.cofferctl), ("barman", home.barman.run)):
            got = processes.make_directory(os.path.join(home.directory, f"got-{name}"))
            asked("get-wal", "-o", got, "main", segment)
            with open(os.path.join(got, segment), "rb") as file:
                digests.append(hashlib.sha256(file.read()).hexdigest())
        assert digests[0] == digests[1], codec


def test_check_complains_of_nothing_but_its_own_service(home, box):
    checked = box.json("check", "main", check=False)["main"]
    failed = {name for name, item in checked.items() if item["status"] != "OK"}
    assert failed <= {"receive_wal_running"}, checked
    assert checked["minimum_redundancy_requirements"]["hint"].startswith(
        f"have {sum('increment' not in kind for kind in home.backups)} ")


def test_backups_of_each_kind_are_restored(home, box):
    for kind, backup in home.backups.items():
        restored = restore(home, box, backup, f"restored-{kind}", "--target-immediate", "--target-action", "promote")
        if kind in ("plain", "gzip", "none", "full"):
            os.rename(f"{restored.data}/recovery.signal", f"{restored.directory}/recovery.signal")
            pgroots.run(restored.version, "pg_verifybackup", "-e", "-n", "-i", "tablespace_map",
                        "-i", "postgresql.auto.conf", "-i", "pg_wal", restored.data)
            os.rename(f"{restored.directory}/recovery.signal", f"{restored.data}/recovery.signal")
        promoted(restored, home.rows[kind])


def test_everything_up_to_the_unfinished_segment_comes_back(home, box):
    rows = home.write()
    home.postgres.wait_for("select pg_current_wal_flush_lsn() <= write_lsn from pg_stat_replication", "it is received")
    promoted(restore(home, box, home.backups["gzip"], "restored-to-the-end"), rows)


def test_an_increment_is_what_pg_combinebackup_makes(home, box):
    if not home.new:
        pytest.skip("Barman 3.4 has no increments")
    restored = restore(home, box, home.backups["increment"], "restored-combined", "--target-immediate")
    combined = os.path.join(home.directory, "combined")
    base = home.barman.path("base")
    pgroots.run(18, "pg_combinebackup", f"{base}/{home.backups['full']}/data", f"{base}/{home.backups['increment']}/data",
                "-o", combined, "-T", f"{base}/{home.backups['increment']}/16384={home.directory}/combined-space")
    kept = ("postgresql.auto.conf", "backup_manifest", "tablespace_map")
    assert digests_below(restored.data, kept) == digests_below(combined, kept)
    assert digests_below(f"{restored.directory}/space") == digests_below(f"{home.directory}/combined-space")


def digests_below(root, without=()):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            relative = os.path.relpath(os.path.join(folder, name), root)
            if relative in without or relative.startswith("pg_wal") or name.endswith(".signal"):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                found[relative] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_the_start_command_of_an_unpacked_backup_is_for_its_own_settings(home, box):
    directory = os.path.join(home.directory, "advised")
    done = box.job("restore", "main", home.backups["gzip"], os.path.join(directory, "data"), "--tablespace",
                   f"space:{directory}/space")
    assert f"-D {directory}/data start" in done.stdout, done.stdout
    assert "config_file=" not in done.stdout and "Look through postgresql.conf" in done.stdout, done.stdout
    shutil.rmtree(directory)


def test_a_byte_that_flipped_in_an_archive_is_found(home, box):
    kind = "none" if home.new else "gzip"
    archive = home.barman.path("base", home.backups[kind], "data", "base.tar" + ("" if home.new else ".gz"))
    shutil.copy2(archive, f"{archive}.right")
    with open(archive, "r+b") as file:
        file.seek(os.path.getsize(archive) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x10]))
    done = box.job("restore", "main", home.backups[kind], os.path.join(home.directory, "damaged", "data"),
                   "--tablespace", f"space:{home.directory}/damaged/space", check=False)
    os.rename(f"{archive}.right", archive)
    assert done.returncode == 1 and home.backups[kind] in done.stderr + done.stdout
    assert not os.path.exists(os.path.join(home.directory, "damaged", "data", "global", "pg_control"))


def test_a_missing_parent_is_told(home, box):
    if not home.new:
        pytest.skip("Barman 3.4 has no increments")
    record = home.barman.path("meta", f"{home.backups['full']}-backup.info")
    os.rename(record, f"{record}.away")
    os.rename(home.barman.path("base", home.backups["full"]), home.barman.path("away"))
    done = box.job("restore", "main", home.backups["zstd increment"], os.path.join(home.directory, "orphan"),
                   "--tablespace", f"space:{home.directory}/orphan-space", check=False)
    os.rename(home.barman.path("away"), home.barman.path("base", home.backups["full"]))
    os.rename(f"{record}.away", record)
    assert done.returncode == 1
    assert f"needs {home.backups['full']}, which is not there" in done.stderr


def test_a_range_of_the_archive_is_checked_as_barman_does(home, box):
    first, last = min(home.segments.values()), max(home.segments.values())
    assert box.cofferctl("check-archived-wal-range", "main", first, last).returncode == 0
    beyond = f"{last[:22]}{int(last[22:], 16) + 3:02X}"
    ranges = ((first, last), (first, beyond), (last, first), (first, "2".join((last[:7], last[8:]))), ("nonsense", last))
    for begin, end in ranges:
        ours = box.cofferctl("-f", "json", "check-archived-wal-range", "main", begin, end, check=False)
        if home.new:
            theirs = home.barman.run("-f", "json", "check-archived-wal-range", "main", begin, end, check=False)
            assert ours.returncode == theirs.returncode
            said, expected = json.loads(ours.stdout), json.loads(theirs.stdout)
            assert said.get("main") == expected.get("main")
            assert said.get("_ERROR", [""])[0].split("\n")[0] == expected.get("_ERROR", [""])[0]
        assert (ours.returncode == 0) == ((begin, end) == (first, last))


def test_every_state_is_told_as_barman_tells_it(home, box):
    kind = "full" if home.new else "plain"
    place = (home.barman.path("meta", "{}-backup.info") if home.new else home.barman.path("base", "{}", "backup.info"))
    with open(place.format(home.backups[kind]), encoding="utf-8") as record:
        text = record.read().replace("children_backup_ids=", "children_backup_ids=None\nignored=")
    states = ("EMPTY", "STARTED", "FAILED", "WAITING_FOR_WALS", "SYNCING")
    made = {f"2020010{day}T000000": state for day, state in enumerate(states, 1)}
    for backup, state in made.items():
        processes.make_directory(os.path.dirname(place.format(backup)))
        processes.make_directory(home.barman.path("base", backup))
        lines = [line for line in text.split("\n") if not line.startswith("ignored=")]
        processes.write(place.format(backup), "\n".join(lines).replace("status=DONE", f"status={state}"))
    told = [{each["backup_id"]: each["status"] for each in asked("list-backups", "main")["main"]}
            for asked in (box.json, home.barman.json)]
    refused = {state: box.job("restore", "main", backup, os.path.join(home.directory, "never"), check=False).returncode
               for backup, state in made.items()}
    for backup in made:
        shutil.rmtree(home.barman.path("base", backup))
        if home.new:
            os.unlink(place.format(backup))
    assert told[0] == told[1]
    assert made.items() <= told[0].items()
    assert set(refused.values()) == {1}, refused


# -- Coffer goes on where Barman stopped


def kill_a_backup(home):
    """Barman is killed while it takes a backup; the ID."""
    before = home.barman.backups()
    cut_off = processes.start(barman.command(home.release, home.barman.config, "backup", "main"),
                              os.path.join(home.directory, "cut-off.log"), env=processes.environment(HOME=home.directory))
    waiting.until(lambda: len(home.barman.backups()) > len(before), "Barman has begun a backup", 30)
    processes.kill_tree(cut_off)
    [backup] = set(home.barman.backups()) - set(before)
    return backup


@pytest.fixture(scope="module")
def going(home, box):
    """Barman's processes are gone, one killed amid a backup; Coffer's run, and a first backup of Coffer's is there."""
    home.cut_off = kill_a_backup(home)
    home.leave()
    box.start()
    box.wait_streaming(home.postgres)
    home.rows["coffer"] = home.write()
    home.backups["coffer"] = box.backup("main", "--name", "after the move")
    return home


def test_a_backup_that_barman_was_killed_in_has_failed_for_both(going, box):
    for asked in (box.json, going.barman.json):
        [listed] = [each for each in asked("list-backups", "main")["main"] if each["backup_id"] == going.cut_off]
        assert listed["status"] == "FAILED"
    box.cofferctl("delete", "main", going.cut_off)
    box.wait_space_freed("main")
    assert going.cut_off not in going.barman.backups()


def test_wal_goes_on_without_a_hole(going, box):
    box.wait_archived("main", going.postgres.switch_wal())
    assert box.holes("main") == []
    names = sorted(os.listdir(going.barman.path("errors")))
    assert names == []
    index = going.barman.path("wals", "main-xlog.db" if going.new else "xlog.db")
    with open(index, encoding="utf-8") as lines:
        indexed = [line.split("\t")[0] for line in lines]
    assert [name for name in indexed if len(name) == 24] == box.wals("main")


def test_the_backup_begins_as_a_clone_of_the_newest_plain_one(going, box):
    shown = box.json("show-backup", "main", "latest")["main"]
    assert shown["backup_id"] == going.backups["coffer"]
    image = shown["image_information"]
    assert image["base"] == going.backups["full" if going.new else "rsync link"]
    assert image["way"] == ("incremental" if going.new else "full"), image
    assert image["written_bytes"] < 12 << 20


def test_what_coffer_wrote_is_restored_by_coffer(going, box):
    restored = restore(going, box, going.backups["coffer"], "coffer-by-coffer", "--target-immediate", "--target-action",
                       "promote")
    promoted(restored, going.rows["coffer"])


def test_barman_restores_what_coffer_wrote(going, box):
    shown = going.barman.json("show-backup", "main", going.backups["coffer"])["main"]
    assert (shown["backup_id"], shown["status"]) == (going.backups["coffer"], "DONE")
    rows = going.write()
    box.wait_archived("main", going.postgres.switch_wal())
    restored = Postgres(processes.make_directory(os.path.join(going.directory, "coffer-by-barman")), going.postgres.version)
    space = processes.make_directory(os.path.join(restored.directory, "space"))
    going.barman.run("recover", "main", going.backups["coffer"], restored.data, "--tablespace", f"space:{space}")
    promoted(restored, rows)


def test_barman_reads_wal_that_coffer_archived(going, box):
    segment = going.postgres.switch_wal()
    box.wait_archived("main", segment)
    got = processes.make_directory(os.path.join(going.directory, "got-back"))
    going.barman.run("get-wal", "-o", got, "main", segment)
    assert box.cofferctl("get-wal", "main", segment, "--to", os.path.join(got, "ours")).returncode == 0
    with open(os.path.join(got, segment), "rb") as theirs, open(os.path.join(got, "ours"), "rb") as ours:
        assert theirs.read() == ours.read()


def test_both_tell_the_same_of_kept_backups(going, box):
    kind = "full" if going.new else "plain"
    for keeper, other in ((box.cofferctl, going.barman.run), (going.barman.run, box.cofferctl)):
        keeper("keep", "main", going.backups[kind], "--target", "standalone")
        assert "standalone" in other("keep", "main", going.backups[kind], "--status").stdout.lower()
        assert other("delete", "main", going.backups[kind], check=False).returncode == 1
        box.cofferctl("keep", "main", going.backups[kind], "--release")
        assert "nokeep" in other("keep", "main", going.backups[kind], "--status").stdout.lower()


def test_barman_checks_the_catalogue_without_a_complaint(going, box):
    checked = going.barman.json("check", "main", check=False)["main"]
    for item in ("directories", "failed_backups", "minimum_redundancy_requirements", "systemid_coherence", "archiver_errors",
                 "compression_settings", "retention_policy_settings"):
        assert checked[item]["status"] == "OK", (item, checked)


def test_barman_rebuilds_the_index_of_coffers_archive(going, box):
    box.archiver.stop()
    index = going.barman.path("wals", "main-xlog.db" if going.new else "xlog.db")
    with open(index, encoding="utf-8") as lines:
        before = [line.split("\t")[:2] for line in lines]
    going.barman.run("rebuild-xlogdb", "main")
    with open(index, encoding="utf-8") as lines:
        assert [line.split("\t")[:2] for line in lines] == before
    box.archiver.start()


def test_they_take_turns(going, box):
    """Barman, then Coffer, then Barman: each on what the other left."""
    box.stop()
    going.receiver = going.barman.receive()
    going.rows["barman again"] = going.write()
    going.backups["barman again"] = going.barman.backup()
    going.leave()
    box.start()
    box.wait_streaming(going.postgres)
    going.rows["coffer again"] = going.write()
    going.backups["coffer again"] = box.backup("main")
    assert box.holes("main") == []
    assert box.json("show-backup", "main", "latest")["main"]["image_information"]["base"] == going.backups["barman again"]
    for kind in ("barman again", "coffer again"):
        promoted(restore(going, box, going.backups[kind], f"restored-{kind}", "--target-immediate", "--target-action",
                         "promote"), going.rows[kind])


def test_each_deletes_what_the_other_made(going, box):
    going.barman.run("delete", "main", going.backups["coffer"])
    listed = [each["backup_id"] for each in box.json("list-backups", "main")["main"] if each["status"] == "DONE"]
    assert going.backups["coffer"] not in listed
    box.cofferctl("delete", "main", going.backups["gzip"])
    box.wait_space_freed("main")
    assert going.backups["gzip"] not in going.barman.backups()
    assert not os.path.exists(going.barman.path("base", going.backups["gzip"]))


def test_the_policy_leaves_what_both_can_restore(going, box):
    going.barman.configure(retention_policy="REDUNDANCY 2")
    left = [going.backups["barman again"], going.backups["coffer again"]]

    def applied():
        """When the archiver has seen the new file, for which it closes the server's archive a moment. Barman may fail
        when a backup goes while it looks."""
        box.cofferctl("expire", "main", check=False)
        return going.barman.backups(check=False) == left
    waiting.until(applied, "the policy is applied", 60)
    box.wait_space_freed("main")
    going.barman.run("cron")
    assert going.barman.backups() == left
    first = going.barman.json("show-backup", "main", left[0])["main"]["base_backup_information"]["begin_wal"]
    assert box.wals("main")[0] == first and box.holes("main") == []
