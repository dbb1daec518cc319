"""Recovery that fetches its WAL from the box, segment by segment, the unfinished one too."""
import os
import pwd

from lib import judge, processes
from lib.ledger import Ledger


def test_a_recovery_with_get_wal_loses_nothing(place, primary, box):
    primary.configure(synchronous_standby_names="*")
    box.add_server("main", primary, compression="zstd")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.reload()
    box.wait_synchronous(primary)
    ledger = Ledger(primary).create().start()
    backup = box.backup("main")
    for _ in range(4):
        ledger.wait_more(40)
        segment = primary.switch_wal()
    ledger.wait_more(40)
    primary.kill()
    ledger.join()
    box.wait_archived("main", segment)
    box.kill()  # cofferctl get-wal needs no service

    restored = box.restore("main", backup, os.path.join(place, "restored"), "--get-wal")
    assert [name for name in os.listdir(os.path.join(restored.data, "pg_wal")) if len(name) == 24] == []
    restored.start()
    judge.wait_promoted(restored)
    assert ledger.check(restored) >= ledger.total()
    judge.verify_running(restored)


def test_a_recovery_with_get_wal_stops_at_its_target(place, primary, box):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table steps (n int)")
    backup = box.backup("main")
    primary.query("insert into steps values (1)")
    primary.query("select pg_create_restore_point('one')")
    segment = primary.switch_wal()
    primary.query("insert into steps values (2)")
    box.wait_archived("main", segment)
    restored = box.restore("main", backup, os.path.join(place, "restored"), "--get-wal", "--target-name", "one",
                           "--target-action", "promote")
    restored.start()
    judge.wait_promoted(restored)
    assert restored.query("select n from steps") == [(1,)]


def test_a_server_that_could_not_fetch_its_wal_is_not_restored_with_get_wal(place, primary, box):
    """Root restores for a user who may not read the box."""
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = box.backup("main")
    os.chmod(box.config, 0o600)
    directory = os.path.join(place, "theirs")
    os.mkdir(directory)
    stranger = pwd.getpwnam("nobody")
    os.chown(directory, stranger.pw_uid, stranger.pw_gid)
    restore = [os.path.join(processes.BIN, "coffer-job"), "restore", "main", backup, os.path.join(directory, "data"),
               "--config", box.config]
    done = processes.run(restore + ["--get-wal"], check=False, env=box.environment())
    assert done.returncode != 0 and box.config in done.stderr and "nobody" in done.stderr and "HINT" in done.stderr
    assert os.listdir(directory) == []
    processes.run(restore, env=box.environment())
    assert os.stat(os.path.join(directory, "data")).st_uid == stranger.pw_uid
