"""-f json: every command says one object and nothing else, with Barman's outer keys where Barman says the same."""
import json
import os

import pytest

from lib import processes
from lib.barman import barman


@pytest.fixture
def ready(primary, box):
    box.add_server("main", primary, compression="gzip")
    box.start()
    box.wait_streaming(primary)
    box.backup("main")
    box.wait_archived("main", primary.switch_wal())
    return primary


# What its object has at the outside; {place} and {backup} are filled in. In an order in which each finds what it needs.
COMMANDS = [
    (["list-servers"], {"main"}),
    (["show-servers", "main"], {"main"}),
    (["status", "main"], {"main"}),
    (["check", "main"], {"main"}),
    (["list-backups", "main"], {"main"}),
    (["show-backup", "main", "latest"], {"main"}),
    (["replication-status", "main"], {"main"}),
    (["list-files", "main", "latest"], {"_INFO"}),
    (["switch-wal", "main", "--archive"], {"_INFO"}),
    (["backup", "main", "--wait"], {"_INFO"}),
    (["restore", "main", "{backup}", "{place}/restored"],
     {"main", "_INFO", "changes", "changes_count", "missing_files", "recovery_elapsed_time",
      "recovery_elapsed_time_seconds", "recovery_start_time", "recovery_start_time_timestamp", "warnings",
      "warnings_count"}),
    (["delete", "main", "{backup}"], {"_INFO"}),
    (["diagnose"], {"global", "models", "servers"}),
]


def test_every_command_answers_with_one_object(place, box, ready):
    (backup,) = box.backup_ids("main")
    for words, keys in COMMANDS:
        words = [word.format(place=place, backup=backup) for word in words]
        done = box.cofferctl("-f", "json", *words, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        told = json.loads(done.stdout)
        assert set(told) == keys, words
        assert all(isinstance(text, str) for text in told.get("_INFO", []))


@pytest.mark.parametrize("words", [[*words[:1], "nobody", *words[2:]] for words, _ in COMMANDS if len(words) > 1],
                         ids=lambda words: words[0])
def test_every_error_is_in_the_object_too(box, words):
    done = box.cofferctl("-f", "json", *(word.format(place="/nowhere", backup="latest") for word in words), check=False)
    assert done.returncode == 1
    assert "nobody" in json.loads(done.stdout)["_ERROR"][0]


def outer_keys(value, depth):
    """The keys of nested objects down to depth; of a list what its first element has."""
    if isinstance(value, list):
        return outer_keys(value[0], depth) if value else set()
    if not isinstance(value, dict) or depth == 0:
        return set()
    return set(value) | {f"{key}.{inner}" for key, each in value.items() for inner in outer_keys(each, depth - 1)}


# What Barman 3.20 has and 3.4 has not.
NEWER = {"main.backup_type"} | {f"main.base_backup_information.{key}" for key in
                                ("backup_method", "wal_num", "wal_size", "wal_size_bytes")} | \
    {f"main.catalog_information.{key}" for key in
     ("chain_size", "children_backup_ids", "parent_backup_id", "root_backup_id")}


# How deep Barman's object goes that scripts read, and what only Coffer has.
@pytest.mark.parametrize("words, depth, more", [
    (["list-server"], 2, set()),
    (["list-backup", "main"], 2, {"main.backup_type"}),
    (["show-backup", "main", "latest"], 3,
     NEWER | {"main.data_checksums", "main.system_id"} |
     {f"main.page_information{key}" for key in ("", ".bad_pages", ".bad_pages_total", ".pages_checked",
                                                ".pages_mended_by_wal")} |
     {f"main.image_information{key}" for key in ("", ".base", ".clone", ".full_read", ".full_read_timestamp", ".received",
                                                 ".received_bytes", ".way", ".way_reason", ".written", ".written_bytes")}),
    (["list-files", "main", "latest"], 1, set()),
    (["list-files", "main", "latest", "--target", "full"], 1, set()),
], ids=lambda each: each[0] if isinstance(each, list) else "")
def test_the_keys_are_barmans(box, written, words, depth, more):
    theirs = json.loads(barman(box, "-f", "json", *words).stdout)
    ours = box.json(*words)
    assert outer_keys(ours, depth) - more == outer_keys(theirs, depth)
    if words[0] == "list-files":
        assert set(ours["_INFO"]) == set(theirs["_INFO"])


def test_a_restore_says_what_barmans_says(place, box, written):
    told = []
    for ask in (lambda *words: json.loads(barman(box, "-f", "json", *words).stdout), box.json):
        destination = processes.make_directory(os.path.join(place, f"restored{len(told)}"))
        told.append(ask("recover", "main", written.backup, os.path.join(destination, "data")))
    theirs, ours = told
    assert set(ours) == set(theirs) | {"main"}
    for key, value in theirs.items():
        assert isinstance(ours[key], type(value)), key
