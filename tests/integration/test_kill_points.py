"""Every durable step has a name; a process is killed at each, started again, and nothing acknowledged is lost.

The names are read from the sources: one that no scenario reaches fails here. One box and one server live through all
of it, as a real box would; a failure gives the next test new ones.
"""
import os
import re
import shutil
import signal

import pytest

from lib import judge, parcels, processes, waiting
from lib.box import Box
from lib.damage import flip
from lib.ledger import Ledger
from lib.postgres import Postgres


def names_in_sources():
    found = set()
    for folder in ("services", "tools"):
        for directory, _, files in os.walk(os.path.join(processes.TOP, folder)):
            for name in files:
                if name.endswith((".cpp", ".h")):
                    with open(os.path.join(directory, name), encoding="utf-8") as source:
                        found.update(re.findall(r'kill_point\("([^"]+)"', source.read()))
    return sorted(found)


class World:
    """A server, its synchronous box, one backup, and clients whose commits are remembered."""

    def __init__(self, directory):
        self.directory = processes.make_directory(directory)
        self.primary = Postgres(os.path.join(directory, "primary")).create(wal_keep_size="1GB").start()
        self.box = Box(os.path.join(directory, "box"))
        self.box.add_server("main", self.primary, compression="zstd", archiver="on")
        self.box.start()
        self.box.wait_streaming(self.primary)
        self.box.backup("main")
        self.primary.configure(synchronous_standby_names="*")
        self.primary.reload()
        self.box.wait_synchronous(self.primary)
        self.ledger = Ledger(self.primary, clients=2).create()
        self.generation = 0
        self.whole = True

    def end_segment(self):
        """Asked on a connection that does not wait for the box, which may be dead."""
        connection = self.primary.connect()
        with connection.cursor() as cursor:
            cursor.execute("set synchronous_commit = local")
            cursor.execute("select pg_logical_emit_message(false, 'test', 'end of a segment')")
            cursor.execute("select pg_walfile_name(pg_switch_wal())")
            segment = cursor.fetchone()[0]
        connection.close()
        return segment

    # -- scenarios: what reaches a kill point; each ends when its victim is dead

    def in_service(self, name, kill_point, provoke):
        service = self.box.services[name]
        service.stop()
        self.ledger.start()
        service.start(kill_point=kill_point)
        provoke()
        service.wait_killed()

    def end_segments(self):
        """Several, because the one in work when the service started may already be past the step."""
        for _ in range(3):
            self.end_segment()

    def bring_foreign_file(self):
        path = os.path.join(self.box.directory, "foreign")
        with open(path, "wb") as file:
            file.write(os.urandom(1 << 16))
        os.chown(path, processes.UID, processes.GID)
        self.generation += 1
        os.rename(path, self.box.path("main", "incoming", f"00000001000000AA{self.generation:08X}"))

    def delete_backup(self):
        self.box.cofferctl("delete", "main", "oldest", check=False)

    def in_expiry(self, kill_point):
        settings = {"compression": "zstd", "archiver": "on"}

        def expire():
            self.end_segments()
            self.box.add_server("main", self.primary, retention_policy="REDUNDANCY 1", **settings)
            self.box.job("backup", "main")

        self.in_service("archiver", kill_point, expire)
        self.box.add_server("main", self.primary, **settings)

    def wait_open(self):
        waiting.until(lambda: self.box.property("archiver", "main", "State") in ("idle", "archiving"), "the archive is open")

    def in_rebuild(self, kill_point):
        def rebuild():
            self.wait_open()
            self.box.cofferctl("rebuild-xlogdb", "main", check=False)

        self.in_service("archiver", kill_point, rebuild)

    def in_first_start(self, kill_point):
        self.box.archiver.stop()
        os.unlink(self.box.path("main", "meta", "coffer-catalogue.json"))
        self.ledger.start()
        self.box.archiver.start(kill_point=kill_point)
        self.box.archiver.wait_killed()

    def in_keep(self, kill_point):
        self.in_service("archiver", kill_point,
                        lambda: self.box.cofferctl("keep", "main", "oldest", "--target", "full", check=False))
        self.box.archiver.start()
        told = self.box.cofferctl("delete", "main", "oldest", check=False)
        assert "the backup is kept" in told.stderr
        self.box.cofferctl("keep", "main", "oldest", "--release")

    def in_backup(self, kill_point):
        self.ledger.start()
        done = self.box.job("backup", "main", kill_point=kill_point, check=False)
        assert done.returncode == -signal.SIGKILL, f"{done.returncode}: {done.stdout}{done.stderr}"

    def in_next_backup(self, kill_point):
        """In one that goes on with the files of one that was cut off."""
        self.in_backup("job.backup.copied")
        self.ledger.stop()
        self.in_backup(kill_point)

    def in_restore(self, kill_point):
        target = os.path.join(self.directory, "cut-off")
        processes.make_directory(target)
        done = self.box.job("restore", "main", "latest", os.path.join(target, "data"), kill_point=kill_point, check=False)
        assert done.returncode == -signal.SIGKILL, f"{done.returncode}: {done.stdout}{done.stderr}"
        # A half restored directory must not start as if it were whole; after the last step it is whole.
        assert kill_point.endswith(".done") or not can_start(Postgres(target))
        shutil.rmtree(target)

    def in_put(self, kill_point):
        """A segment that only its archive_command brings; one that was not told that all is well sends it again."""
        self.box.streamer.stop()
        segment = self.end_segment()
        with open(os.path.join(self.primary.data, "pg_wal", segment), "rb") as file:
            stream = parcels.parcel(segment, file.read())
        assert parcels.put(self.box, stream, COFFER_KILL_POINT=kill_point).returncode == -signal.SIGKILL
        again = parcels.put(self.box, stream)
        assert again.returncode == 0, again.stderr
        self.box.wait_archived("main", segment)

    def damage_all_kinds(self):
        """A segment, and a file of the newest image, which the oldest has on bytes of its own."""
        segment = self.end_segment()
        self.box.wait_archived("main", segment)
        archived = self.box.path("main", "wals", segment[:16], segment)
        flip(archived, os.path.getsize(archived) // 2)
        path = self.box.path("main", "base", self.box.backup("main"), "data", "PG_VERSION")
        shutil.copy2(path, path + ".own")
        os.chown(path + ".own", processes.UID, processes.GID)
        os.rename(path + ".own", path)
        flip(path, 0)

    def scrub(self, kill_point=None):
        return self.box.job("scrub", "main", "--all", kill_point=kill_point, check=False).returncode

    def in_scrub(self, kill_point):
        self.ledger.start()
        self.damage_all_kinds()
        assert self.scrub(kill_point) == -signal.SIGKILL
        self.mend()

    def mend(self):
        """The next run ends what the one that was killed began."""
        assert self.scrub() in (0, 2), self.box.cofferctl("scrub", "main", check=False).stdout
        assert self.box.cofferctl("-f", "json", "scrub", "main").returncode == 0

    def in_recheck(self, kill_point):
        self.in_service("archiver", kill_point, lambda: (self.damage_all_kinds(), self.scrub()))
        self.box.archiver.start()
        self.wait_open()
        self.mend()

    def in_delta_restore(self, kill_point):
        """Onto a directory that holds the same cluster; what was cut off is completed by the next one."""
        target = os.path.join(self.directory, "cut-off")
        processes.make_directory(target)
        onto = ("restore", "main", "latest", os.path.join(target, "data"), "--delta-restore")
        self.box.job(*onto)
        done = self.box.job(*onto, kill_point=kill_point, check=False)
        assert done.returncode == -signal.SIGKILL, f"{done.returncode}: {done.stdout}{done.stderr}"
        assert not can_start(Postgres(target))
        self.box.job(*onto)
        assert can_start(Postgres(target))
        shutil.rmtree(target)

    def in_scheduler(self, kill_point):
        self.in_service("scheduler", kill_point, lambda: self.box.cofferctl("backup", "main", check=False))

    # -- afterwards

    def recover(self):
        """Starts whatever is dead, without a kill point."""
        for service in self.box.services.values():
            if not service.running():
                service.start()
        self.box.wait_synchronous(self.primary)

    def judge(self):
        """The catalogue is consistent, the archive has no hole, and everything acknowledged is restorable."""
        if any(thread.is_alive() for thread in self.ledger._threads):
            self.ledger.wait_more(10)
            self.ledger.stop()
        last = self.end_segment()
        self.box.wait_archived("main", last)
        waiting.until(lambda: not [n for n in os.listdir(self.box.path("main", "streaming")) if len(n) == 24],
                      "finished segments have left streaming/")
        self.check_archive()
        self.box.wait_space_freed("main")
        backup = self.box.backup("main")
        states = {each: self.box.backup_info("main", each)["status"] for each in self.box.backup_ids("main")}
        assert states[backup] == "DONE"
        assert set(states.values()) <= {"DONE", "FAILED"}, states
        for state in (directory for directory in os.listdir(self.box.path("main", "base"))):
            assert state in states, f"base/{state} has no record"
        self.check_restore()
        for each, state in states.items():
            if state == "FAILED":
                assert not os.path.exists(self.box.path("main", "base", each, "data")), f"half of {each} fills the disk"
                self.box.cofferctl("delete", "main", each)
        self.forget_old_backups()

    def forget_old_backups(self):
        """All but two, and their WAL: what the next tests restore and read again does not grow."""
        for each in sorted(self.box.backup_ids("main"))[:-2]:
            self.box.cofferctl("delete", "main", each)
        self.box.wait_space_freed("main")

    def check_archive(self):
        names = self.box.wals("main")
        assert not self.box.holes("main"), "a hole in the archive"
        with open(self.box.path("main", "wals", "xlog.db"), encoding="utf-8") as index:
            indexed = [line.split("\t")[0] for line in index]
        assert sorted(n for n in indexed if len(n) == 24) == names, "xlog.db and the archive differ"

    def check_restore(self):
        directory = os.path.join(self.directory, "restored")
        restored = self.box.restore("main", "oldest", directory)
        judge.verify_files(restored)
        restored.start()
        judge.wait_promoted(restored)
        self.ledger.check(restored)
        restored.kill()
        shutil.rmtree(directory)


def can_start(server):
    if not os.path.exists(os.path.join(server.data, "PG_VERSION")):
        return False
    server.start(wait=False)
    try:
        server.wait_ready(seconds=10)
        return True
    except waiting.Expired:
        return False
    finally:
        server.kill()


SCENARIOS = {
    "streamer.segment.": lambda w, name: w.in_service("streamer", name, w.end_segments),
    "archiver.segment.": lambda w, name: w.in_service("archiver", name, w.end_segments),
    "archiver.error.": lambda w, name: w.in_service("archiver", name, w.bring_foreign_file),
    "archiver.recheck.": lambda w, name: w.in_recheck(name),
    "job.scrub.": lambda w, name: w.in_scrub(name),
    "scrub.mend.": lambda w, name: w.in_scrub(name),
    "archiver.remove.": lambda w, name: w.in_service("archiver", name, w.delete_backup),
    "catalogue.remove.": lambda w, name: w.in_service("archiver", name, w.delete_backup),
    "archiver.expire.": lambda w, name: w.in_expiry(name),
    "archiver.rebuild.": lambda w, name: w.in_rebuild(name),
    "catalogue.mark.": lambda w, name: w.in_first_start(name),
    "catalogue.keep.": lambda w, name: w.in_keep(name),
    "catalogue.save.": lambda w, name: w.in_backup(name),
    "job.backup.taken_over": lambda w, name: w.in_next_backup(name),
    "job.backup.": lambda w, name: w.in_backup(name),
    "job.restore.surplus": lambda w, name: w.in_delta_restore(name),
    "job.restore.": lambda w, name: w.in_restore(name),
    "put.wal.": lambda w, name: w.in_put(name),
    "scheduler.": lambda w, name: w.in_scheduler(name),
}
# They need a switch of timeline: tests of their own below. Or another box: test_export.py takes those names.
ELSEWHERE = {"streamer.history.", "streamer.timeline.", "streamer.segment.seeded", "catalogue.import.", "job.import.",
             "job.export."}
_world = []


@pytest.fixture
def world(base):
    """The one of the last test, unless that one failed."""
    if _world and not _world[0].whole:
        processes.end_all()
        _world.clear()
    if not _world:
        _world.append(World(os.path.join(base, f"kill-{os.urandom(4).hex()}")))
    _world[0].whole = False
    return _world[0]


@pytest.fixture(scope="module", autouse=True)
def end_of_world():
    yield
    processes.end_all()
    _world.clear()


@pytest.mark.parametrize("name", [n for n in names_in_sources() if not n.startswith(tuple(ELSEWHERE))])
def test_killed_at_this_step_nothing_acknowledged_is_lost(world, name):
    scenarios = [run for prefix, run in SCENARIOS.items() if name.startswith(prefix)]
    assert scenarios, f"no scenario reaches {name}"
    scenarios[0](world, name)
    world.recover()
    world.judge()
    world.whole = True


@pytest.mark.parametrize(
    "name", [n for n in names_in_sources() if n.startswith(("streamer.history.", "streamer.timeline."))])
def test_killed_while_a_timeline_begins_nothing_acknowledged_is_lost(place, box, primary, name):
    standby = primary.standby(os.path.join(place, "standby")).start()
    hosts = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres target_session_attrs=read-write"
    box.add_server("main", primary, conninfo=f"{hosts} dbname=postgres", streaming_conninfo=hosts)
    box.start_bus()
    box.archiver.start()
    also_before = name.startswith("streamer.timeline.")  # which is noted for the first timeline as well
    box.streamer.start(kill_point=f"{name}:2" if also_before else name)
    primary.wait_for("select count(*) = 2 from pg_stat_replication where state = 'streaming'", "both stream")
    backup = box.backup("main")
    ledger = Ledger(primary).create().start()
    ledger.wait_more(50)
    ledger.stop()
    primary.wait_for("select bool_and(flush_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication", "both have it all")
    primary.kill()
    standby.promote()
    box.streamer.wait_killed()
    box.streamer.start()
    box.wait_streaming(standby)
    standby.configure(synchronous_standby_names="*")
    standby.reload()
    box.wait_synchronous(standby)
    ledger.postgres = standby
    ledger.start()
    ledger.wait_more(50)
    standby.kill()
    ledger.join()
    box.kill()
    restored = box.restore("main", backup, os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    ledger.check(restored)


@pytest.mark.parametrize("step", ["seeded", "created", "written", "synced"])
def test_killed_as_a_timeline_begins_its_file_does_not_hide_the_end_of_the_old_one(place, box, primary, step):
    """Everything dies with next to nothing received of the new timeline: the old one's last commits are restored."""
    standby = primary.standby(os.path.join(place, "standby")).start()
    hosts = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres target_session_attrs=read-write"
    box.add_server("main", primary, conninfo=f"{hosts} dbname=postgres", streaming_conninfo=hosts)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = box.backup("main")
    primary.configure(synchronous_standby_names="2 (*)")
    primary.reload()
    primary.wait_for("select count(*) = 2 from pg_stat_replication where sync_state = 'sync'", "both are synchronous")
    ledger = Ledger(primary).create().start()
    ledger.wait_more(200)
    primary.kill()
    ledger.join()
    box.streamer.kill()
    standby.promote()
    box.streamer.start(kill_point=f"streamer.segment.{step}", wait=False)
    box.streamer.wait_killed()
    standby.kill()
    box.kill()
    restored = box.restore("main", backup, os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    ledger.check(restored)
