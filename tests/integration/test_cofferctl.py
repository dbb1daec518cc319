"""The command line: Barman's shapes and exit codes, with and without the services."""
import json
import os
import re
import signal

import pytest

from lib import judge, processes, waiting
from lib.postgres import Postgres


@pytest.fixture
def ready(primary, box):
    box.add_server("main", primary, archiver="on")
    box.start()
    box.wait_streaming(primary)
    return primary


def test_a_backup_by_the_scheduler_is_waited_for_and_listed(box, ready):
    box.cofferctl("backup", "main", "--wait", "--name", "before-upgrade")
    (backup,) = box.json("list-backups", "main")["main"]
    assert backup["status"] == "DONE"
    assert re.fullmatch(r"\d{8}T\d{6}", backup["backup_id"])
    assert backup["backup_id"] in box.cofferctl("list-backups", "main").stdout
    assert box.cofferctl("list-backups", "--minimal", "main").stdout.split() == [backup["backup_id"]]
    shown = box.json("show-backup", "main", "before-upgrade")["main"]
    assert shown["backup_id"] == backup["backup_id"]


def test_status_and_replication_status_tell_the_live_state(box, ready):
    status = json.dumps(box.json("status", "main"))
    assert "15." in status
    assert "barman_receive_wal" in box.cofferctl("replication-status", "main").stdout


def test_list_servers(box, ready):
    assert "main" in box.json("list-servers")
    assert box.cofferctl("list-servers", "--minimal").stdout.split() == ["main"]


def test_check_passes_for_a_healthy_server_and_says_what_is_wrong_with_another(box, ready):
    box.cofferctl("backup", "main", "--wait")
    ready.switch_wal()
    checked = box.json("check", "main", check=False)["main"]
    assert checked["postgresql"]["status"] == "OK"
    assert checked["directories"]["status"] == "OK"
    assert checked["replication_slot"]["status"] == "OK"
    ready.stop()
    done = box.cofferctl("check", "main", check=False)
    assert done.returncode == 1
    assert re.search(r"\tPostgreSQL: FAILED", done.stdout)
    assert box.cofferctl("check", "--nagios", "main", check=False).returncode == 2


def test_get_wal_gives_the_servers_bytes(place, box, ready):
    ready.query("create table t as select generate_series(1, 1000)")
    segment = ready.switch_wal()
    box.wait_archived("main", segment)
    directory = processes.make_directory(os.path.join(place, "got"))
    box.cofferctl("get-wal", "main", segment, "-o", directory)
    with open(os.path.join(directory, segment), "rb") as got, \
            open(os.path.join(ready.data, "pg_wal", segment), "rb") as original:
        assert got.read() == original.read()
    assert box.cofferctl("get-wal", "main", "0000000100000000000000FF", check=False).returncode == 1
    assert box.cofferctl("get-wal", "main", "nonsense", check=False).returncode == 3


def test_get_wal_works_with_every_service_down(place, box, ready):
    segment = ready.switch_wal()
    box.wait_archived("main", segment)
    box.stop()
    directory = processes.make_directory(os.path.join(place, "got"))
    box.cofferctl("get-wal", "main", segment, "-o", directory)
    assert os.path.getsize(os.path.join(directory, segment)) == 16 << 20
    assert "main" in box.cofferctl("list-servers").stdout
    box.cofferctl("list-backups", "main")


def test_switch_wal_ends_a_segment(box, ready):
    before = ready.value("select pg_walfile_name(pg_current_wal_lsn())")
    ready.query("select pg_logical_emit_message(false, 'test', 'something')")
    box.cofferctl("switch-wal", "main")
    box.wait_archived("main", before)


def test_delete_and_list_files(box, ready):
    first = box.backup("main")
    assert first in box.cofferctl("list-files", "main", first, "--target", "data").stdout
    second = box.backup("main")
    box.cofferctl("delete", "main", first)
    assert box.backup_ids("main") == [second]
    box.wait_space_freed("main")
    assert not os.path.exists(box.path("main", "base", first))


def test_a_restore_answers_in_json_and_only_in_json(place, box, ready):
    backup = box.backup("main")
    restored = Postgres(os.path.join(place, "restored"))
    told = box.json("restore", "main", "latest", restored.data)
    assert told["main"]["backup_id"] == backup and told["main"]["destination"] == restored.data
    assert backup in told["_INFO"][0] and told["recovery_elapsed_time_seconds"] > 0
    judge.wait_promoted(restored.start())
    refused = box.cofferctl("-f", "json", "restore", "main", "latest", restored.data, check=False)
    assert refused.returncode == 1
    assert "not empty" in json.loads(refused.stdout)["_ERROR"][0]


def test_a_canceled_restore_ends_with_one_as_barmans(place, box, ready):
    box.backup("main")

    def cancel_at_once():  # blocked and pending: that outlives every exec, until the job waits for it
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    argv = [os.path.join(processes.BIN, "cofferctl"), "--config", box.config, "restore", "main", "latest",
            os.path.join(processes.make_directory(os.path.join(place, "never")), "data")]
    done = processes.run_as_user(argv, env=box.environment(), check=False, preexec_fn=cancel_at_once)
    assert "canceled" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [["status", "nobody"], ["show-backup", "main", "20200101T000000"],
                                       ["list-backups", "nobody"], ["restore", "main", "latest", "/nowhere"]])
def test_what_does_not_exist_is_named_and_ends_with_one(box, ready, arguments):
    done = box.cofferctl(*arguments, check=False)
    assert done.returncode == 1
    assert arguments[1] in done.stderr + done.stdout


def test_an_unknown_command_is_a_usage_error(box, ready):
    refused = box.cofferctl("restroe", "main", check=False)
    assert refused.returncode == 2
    assert "ERROR: unknown command 'restroe'\nHINT: " in refused.stderr


def test_diagnose_is_json_without_passwords(box, ready):
    box.add_server("secret", ready, conninfo=ready.conninfo() + " password=hunter2")
    text = box.cofferctl("diagnose").stdout
    assert "main" in json.loads(text)["servers"]
    assert "hunter2" not in text
