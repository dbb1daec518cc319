"""Recovery that fetches its WAL from the box, segment by segment, the unfinished one too."""
import os

from lib import judge
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
