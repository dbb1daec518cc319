"""The first complete way: stream, back up under load, lose everything, restore, on every version."""
import os

from lib import judge
from lib.ledger import Ledger
from lib.postgres import Postgres


def test_a_database_under_load_is_backed_up_lost_and_brought_back(place, version, box):
    primary = Postgres(os.path.join(place, "primary"), version).create().start()
    primary.pgbench("-i", "-q", "-s", "2")
    primary.configure(synchronous_standby_names="*")
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.reload()
    box.wait_synchronous(primary)

    ledger = Ledger(primary).create().start()
    ledger.wait_total(50)
    backup = box.backup("main")
    ledger.wait_more(200)
    segment = primary.switch_wal()
    ledger.wait_more(200)
    primary.kill()
    ledger.join()
    box.wait_archived("main", segment)
    box.kill()

    assert box.backup_info("main", backup)["status"] == "DONE"
    restored = box.restore("main", "latest", os.path.join(place, "restored"), version=version)
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    assert ledger.check(restored) >= ledger.total()
    assert restored.value("select count(*) from pgbench_accounts") == 200000
    judge.verify_running(restored)
    restored.stop()
    judge.verify_stopped(restored)
