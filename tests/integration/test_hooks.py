"""Hook scripts: all of Barman's twenty, what they are told, and that one which hangs holds up nobody else."""
import json
import os

import pytest

from lib import processes, waiting

FAMILIES = ("backup", "archive", "delete", "wal_delete", "recovery")
STEPS = ("pre_{}_script", "pre_{}_retry_script", "post_{}_retry_script", "post_{}_script")  # in their order


class Log:
    """What the scripts wrote: one JSON object for each run."""

    def __init__(self, place):
        self.file = os.path.join(place, "hooks.log")
        self.script = os.path.join(place, "hook")
        processes.write(self.script, "#!/usr/bin/python3\nimport json, os\n"
                        f"with open({self.file!r}, 'a') as log:\n    log.write(json.dumps(dict(os.environ)) + '\\n')\n")
        os.chmod(self.script, 0o755)
        processes.write(self.file, "")

    def runs(self, family=None):
        with open(self.file, encoding="utf-8") as log:
            everything = [json.loads(line) for line in log if line.endswith("\n")]
        hooks = {f"{family}_script", f"{family}_retry_script"}
        return [run for run in everything if family is None or run["BARMAN_HOOK"] in hooks]


def step_of(run):
    return f"{run['BARMAN_PHASE']}_{run['BARMAN_HOOK']}"


@pytest.fixture
def log(place):
    return Log(place)


def test_all_twenty_run_in_their_order_and_are_told_what_barman_tells(place, primary, box, log):
    keys = {step.format(family): log.script for family in FAMILIES for step in STEPS}
    box.add_server("main", primary, **keys)
    box.start()
    box.wait_streaming(primary)
    first = box.backup("main")
    second = box.backup("main")
    segment = primary.switch_wal()
    box.wait_archived("main", segment)
    waiting.until(lambda: len([r for r in log.runs("archive") if r["BARMAN_SEGMENT"] == segment]) == 4, "all have run")
    box.job("restore", "main", second, os.path.join(place, "restored"), "--target-immediate")
    box.cofferctl("delete", "main", first)

    for family in FAMILIES:
        runs = log.runs(family)
        assert runs, family
        assert {step_of(run) for run in runs} == {step.format(family) for step in STEPS}
        for run in runs:
            assert run["BARMAN_SERVER"] == "main" and run["BARMAN_ERROR"] == "" and run["BARMAN_CONFIGURATION"] == box.config
            assert run["BARMAN_RETRY"] == ("1" if "retry" in run["BARMAN_HOOK"] else "0") and run["BARMAN_VERSION"]
            for name, value in run.items():
                if name.startswith("BARMAN_"):
                    assert run["COFFER_" + name.removeprefix("BARMAN_")] == value
            assert not [name for name in run if name.startswith("PG") or "CREDENTIALS" in name]

    backups = log.runs("backup")
    assert [step_of(run) for run in backups] == [step.format("backup") for step in STEPS] * 2
    assert [run["BARMAN_STATUS"] for run in backups[4:]] == ["STARTED"] * 2 + ["WAITING_FOR_WALS"] * 2
    for run in backups[4:]:
        assert (run["BARMAN_BACKUP_ID"], run["BARMAN_PREVIOUS_ID"], run["BARMAN_NEXT_ID"]) == (second, first, "")
        assert run["BARMAN_BACKUP_DIR"] == box.path("main", "base", second)
        assert run["BARMAN_BACKUP_INFO_PATH"] == box.path("main", "meta", f"{second}-backup.info")

    archived = [run for run in log.runs("archive") if run["BARMAN_SEGMENT"] == segment]
    assert [step_of(run) for run in archived] == [step.format("archive") for step in STEPS]
    assert archived[0]["BARMAN_FILE"] == box.path("main", "streaming", segment)
    assert archived[3]["BARMAN_FILE"] == box.path("main", "wals", segment[:16], segment)
    assert archived[0]["BARMAN_SIZE"] == str(16 << 20) and float(archived[0]["BARMAN_TIMESTAMP"]) > 0
    assert archived[0]["BARMAN_COMPRESSION"] == ""

    (removed,) = {run["BARMAN_BACKUP_ID"] for run in log.runs("delete")}
    assert removed == first
    for run in log.runs("wal_delete"):
        assert run["BARMAN_FILE"].endswith(run["BARMAN_SEGMENT"])
        assert not os.path.exists(run["BARMAN_FILE"])
    recovery = log.runs("recovery")
    assert [step_of(run) for run in recovery] == [step.format("recovery") for step in STEPS]
    assert recovery[0]["BARMAN_DESTINATION_DIRECTORY"] == os.path.join(place, "restored")
    assert json.loads(recovery[0]["BARMAN_RECOVER_OPTIONS"])["target_immediate"] is True
    assert recovery[0]["BARMAN_BACKUP_ID"] == second and recovery[0]["BARMAN_TABLESPACES"] == ""


def test_a_retry_script_can_forbid_a_backup_before_anything_is_copied(primary, box, log):
    box.add_server("main", primary, pre_backup_retry_script="echo not now; exit 63", post_backup_script=log.script)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    done = box.job("backup", "main", check=False)
    assert done.returncode == 1 and "pre_backup_retry_script does not allow it" in done.stderr
    assert "pre_backup_retry_script: not now" in done.stderr
    (backup,) = box.backup_ids("main")
    assert box.backup_info("main", backup)["status"] == "FAILED"
    assert not os.path.exists(box.path("main", "base", backup, "data", "PG_VERSION"))
    (told,) = log.runs("backup")
    assert told["BARMAN_STATUS"] == "FAILED" and "does not allow it" in told["BARMAN_ERROR"]


def test_a_script_that_fails_is_a_warning_and_a_retry_script_that_gives_up_too(primary, box):
    box.add_server("main", primary, pre_backup_script="exit 1", pre_backup_retry_script="exit 62",
                   post_backup_retry_script="exit 63", post_backup_script="kill -9 $$")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    told = box.job("backup", "main").stderr
    for words in ("pre_backup_script: ended with exit status 1", "pre_backup_retry_script: gave up (exit status 62)",
                  "post_backup_retry_script: ended with exit status 63", "post_backup_script: was ended by signal 9"):
        assert words in told


def test_a_backup_and_wal_that_a_script_wants_to_keep_stay(primary, box):
    box.add_server("main", primary, pre_delete_retry_script="exit 63", pre_wal_delete_retry_script="exit 63")
    box.start()
    box.wait_streaming(primary)
    first = box.backup("main")
    refused = box.cofferctl("delete", "main", first, check=False)
    assert refused.returncode == 1 and "pre_delete_retry_script does not allow it" in refused.stderr
    assert box.backup_ids("main") == [first]
    segment = primary.switch_wal()
    box.wait_archived("main", segment)
    box.backup("main")
    held = set(box.wals("main"))
    box.add_server("main", primary, pre_wal_delete_retry_script="exit 63")
    waiting.until(lambda: box.cofferctl("delete", "main", first, check=False).returncode == 0, "its own hook is gone")
    assert first not in box.backup_ids("main")
    assert held <= set(box.wals("main"))


def test_a_hook_that_hangs_holds_up_neither_streaming_nor_other_servers_nor_the_end(primary, box, log):
    box.add_server("hangs", primary, slot_name="hangs", streaming_archiver_name="hangs",
                   pre_archive_script=f"{log.script}; sleep 1000", pre_delete_script="sleep 1000")
    box.add_server("goes", primary, slot_name="goes", streaming_archiver_name="goes")
    box.start()
    primary.wait_for("select count(*) = 2 from pg_stat_replication where state = 'streaming'", "both are streamed")
    first = primary.switch_wal()
    waiting.until(log.runs, "the hook runs")
    second = primary.switch_wal()
    for segment in (first, second):
        box.wait_archived("goes", segment)
    box.wait_durable(primary)
    primary.wait_for("select bool_and(flush_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication",
                     "both have everything")
    assert not box.wals("hangs")
    assert box.property("archiver", "hangs", "State") == "archiving"
    box.archiver.stop()


def test_a_hook_that_takes_too_long_is_ended_and_its_wal_is_archived(primary, box):
    box.add_server("main", primary, pre_archive_script="sleep 1000 & sleep 1000", hook_timeout=1)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.wait_archived("main", primary.switch_wal(), 60)
