"""What goes wrong on the server in the middle of a backup: the job has failed, nobody canceled it."""
import concurrent.futures
import glob
import os

import pytest

from lib import pgroots
from lib.postgres import Postgres
from test_images import extra, protect, verify


@pytest.mark.parametrize("function, said", [("pg_cancel_backend", "canceling statement due to user request"),
                                            ("pg_terminate_backend", "terminating connection")])
def test_a_backup_that_is_ended_on_the_server_has_failed_and_is_gone_on_with(box, primary, function, said):
    primary.pgbench("-i", "-q", "-s", "2")
    protect(box, primary, bandwidth_limit=1000)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        job = pool.submit(box.job, "backup", "main", check=False)
        copying = "from pg_stat_progress_basebackup where backup_streamed > 5000000"
        primary.wait_for(f"select count(*) = 1 {copying}", "some of it is here")
        primary.query(f"select {function}(pid) {copying}")
        done = job.result()
    assert done.returncode == 1 and said in done.stderr, (done.returncode, done.stderr)
    failed, = box.backup_ids("main")
    info = box.backup_info("main", failed)
    assert info["status"] == "FAILED" and said in info["error"]

    box.add_server("main", primary)
    backup = box.backup("main")
    assert extra(box, backup)["clone"] == "taken over"
    verify(box, backup)


def test_a_summary_that_vanishes_makes_the_backup_a_full_one(place, box):
    version = pgroots.VERSIONS[-1]
    server = Postgres(os.path.join(place, "primary"), version).create(summarize_wal="on", autovacuum="off").start()
    protect(box, server)
    box.backup("main")
    server.query("create table changed as select 1 as n")
    server.query("checkpoint")
    server.wait_for("select count(*) > 0 from pg_available_wal_summaries()", "a summary")
    # Listed, and not there when it is opened.
    for summary in glob.glob(os.path.join(server.data, "pg_wal", "summaries", "*.summary")):
        os.unlink(summary)
        os.symlink("nowhere", summary)
    backup = box.backup("main")
    known = extra(box, backup)
    assert known["way"] == "full" and "No such file" in known["way_reason"], known
    verify(box, backup, version)
