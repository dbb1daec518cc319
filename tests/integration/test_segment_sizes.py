"""WAL segments of every size a server can have."""
import os

import pytest

from lib import judge
from lib.ledger import Ledger
from lib.postgres import Postgres


@pytest.mark.parametrize("megabytes", [1, 64, 1024])
def test_a_server_with_other_segments_is_protected(place, box, megabytes):
    primary = Postgres(os.path.join(place, "primary"))
    # Room for two segments is the least that a server accepts.
    primary.create(wal_segment_mb=megabytes, min_wal_size=f"{max(80, 2 * megabytes)}MB",
                   max_wal_size=f"{max(1024, 4 * megabytes)}MB").start()
    box.add_server("main", primary, compression="zstd")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = box.backup("main")
    ledger = Ledger(primary).create().start()
    ledger.wait_more(300)
    segment = primary.switch_wal()
    ledger.wait_more(300)
    ledger.stop()
    box.wait_archived("main", segment, seconds=90)
    box.wait_durable(primary)
    primary.kill()
    box.kill()
    restored = box.restore("main", backup, os.path.join(place, "restored"))
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    ledger.check(restored)
