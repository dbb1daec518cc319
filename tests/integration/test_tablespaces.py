"""Tablespaces: backed up, mapped elsewhere, put back in place, and those that come while a backup runs."""
import os
import threading

import pytest

from lib import judge, processes

ROWS = 2000


@pytest.fixture
def protected(place, primary, box):
    primary.space = processes.make_directory(os.path.join(place, "space"))
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    return primary


def make_tablespace(primary):
    primary.query(f"create tablespace fast location '{primary.space}'")
    primary.query(f"create table spaced tablespace fast as select n from generate_series(1, {ROWS}) n")


def link_of(restored):
    folder = os.path.join(restored.data, "pg_tblspc")
    return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


def check(restored):
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from spaced") == ROWS
    judge.verify_running(restored)
    restored.stop()
    judge.verify_stopped(restored)


def test_a_tablespace_is_restored_to_a_new_place(place, protected, box):
    make_tablespace(protected)
    backup = box.backup("main")
    elsewhere = os.path.join(place, "elsewhere")
    restored = box.restore("main", backup, os.path.join(place, "restored"), "--tablespace", f"fast:{elsewhere}")
    assert link_of(restored) == [elsewhere]
    check(restored)
    assert protected.value("select count(*) from spaced") == ROWS


def test_a_tablespace_is_restored_to_its_place_only_when_that_is_free(place, protected, box):
    make_tablespace(protected)
    backup = box.backup("main")
    refused = box.job("restore", "main", backup, os.path.join(place, "never", "data"), check=False)
    assert refused.returncode == 1 and "--tablespace fast:/PATH" in refused.stderr
    assert not os.path.exists(os.path.join(place, "never"))
    protected.kill()
    os.rename(protected.space, protected.space + ".lost")
    restored = box.restore("main", backup, os.path.join(place, "restored"))
    assert link_of(restored) == [protected.space]
    check(restored)


def test_a_tablespace_made_while_a_backup_waits_for_its_checkpoint_belongs_to_it(place, protected, box):
    protected.query("create table filled as select n from generate_series(1, 100000) n")  # something to checkpoint
    worker = threading.Thread(target=box.job, args=("backup", "main", "--spread"))
    worker.start()
    protected.wait_for("select phase = 'waiting for checkpoint to finish' from pg_stat_progress_basebackup",
                       "the backup waits for its checkpoint")
    make_tablespace(protected)
    protected.query("checkpoint")  # hurries the one that goes on
    worker.join(timeout=120)
    backup = box.backup_ids("main")[-1]
    assert box.backup_info("main", backup)["status"] == "DONE"
    # Its CREATE TABLESPACE is replayed, and would lead the link back to the living server's directory.
    data, elsewhere = os.path.join(place, "never", "data"), os.path.join(place, "elsewhere")
    refused = box.job("restore", "main", backup, data, "--tablespace", f"fast:{elsewhere}", check=False)
    assert refused.returncode == 1 and f"--tablespace fast:{protected.space}" in refused.stderr
    assert not os.path.exists(os.path.join(data, "base")) and os.listdir(elsewhere) == []
    protected.kill()
    os.rename(protected.space, protected.space + ".lost")
    restored = box.restore("main", backup, os.path.join(place, "restored"))
    check(restored)
    assert link_of(restored) == [protected.space]


def test_a_tablespace_made_after_the_backup_never_touches_the_living_servers(place, protected, box):
    backup = box.backup("main")
    make_tablespace(protected)
    box.wait_durable(protected)
    data = os.path.join(place, "never", "data")
    refused = box.job("restore", "main", backup, data, check=False)
    assert refused.returncode != 0 and protected.space in refused.stderr and "HINT" in refused.stderr
    assert not os.path.exists(os.path.join(data, "base"))
    assert protected.value("select count(*) from spaced") == ROWS


def test_a_tablespace_made_after_the_backup_gets_its_directory(place, protected, box):
    backup = box.backup("main")
    make_tablespace(protected)
    box.wait_durable(protected)
    protected.kill()
    os.rename(protected.space, protected.space + ".lost")
    restored = box.restore("main", backup, os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from spaced") == ROWS
    assert link_of(restored) == [protected.space]
