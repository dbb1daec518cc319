"""What cofferctl says to people when something is not as it should be: what, where, and what to do."""
import os
import re

import pytest

from lib.postgres import Postgres

READERS = [["list-backups", "main"], ["show-backup", "main", "latest"], ["list-files", "main", "latest"],
           ["status", "main"]]


@pytest.fixture
def stopped(written):
    """As written, the server gone too, so that nothing waits for it."""
    written.stop()
    return written


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
@pytest.mark.parametrize("closed", [[], ["wals"]], ids=["all", "wals"])
def test_a_directory_that_may_not_be_read_is_named_with_the_remedy(box, stopped, closed, words):
    directory = box.path("main", *closed)
    os.chmod(directory, 0)
    refused = box.cofferctl(*words, check=False)
    assert refused.returncode == 1
    assert (f"ERROR: this user may not read a directory of server 'main': {directory}\n"
            "HINT: run this as root or as user coffer") in refused.stderr


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
def test_an_archive_that_is_gone_is_told(box, stopped, words):
    os.rename(box.path("main", "wals"), box.path("main", "moved"))
    warning = f"WARNING: server 'main' has backups, but its WAL archive is not there: {box.path('main', 'wals')}\nHINT: "
    assert warning in box.cofferctl(*words).stderr
    checked = box.cofferctl("check", "main", check=False)
    assert re.search(r"\tdirectories: FAILED \(.*WAL archive is not there: .*mounted", checked.stdout)
    missing = box.cofferctl("get-wal", "main", stopped.segments[0], check=False)
    assert missing.returncode == 1
    assert f"HINT: the WAL archive is not there: {box.path('main', 'wals')}" in missing.stderr


def test_a_new_server_without_directories_is_no_fault(box, primary):
    box.add_server("main", primary)
    assert box.cofferctl("list-backups", "main").stderr == ""
    assert "directories: OK" in box.cofferctl("check", "main", check=False).stdout


def test_each_item_of_check_is_one_line(box, stopped):
    box.start("streamer", "archiver")
    box.streamer.stop()
    shown = box.cofferctl("check", "main", check=False).stdout.splitlines()
    assert shown[0] == "Server main:"
    assert all(re.match(r"\t[^:]+: (OK|FAILED)( \(.*\))?$", line) for line in shown[1:]), shown


@pytest.mark.parametrize("command", [["list-servers"], ["check", "all"]], ids=lambda words: words[0])
def test_ignored_values_are_told_once(box, primary, command):
    box.configure(compression="best")
    box.add_server("main", primary, compresion="gzip", minimum_redundancy="many")
    box.add_server("other", primary, create_slot="manual")
    told = box.cofferctl(*command, check=False)
    for line in (r"main\.conf:\d+: 'compresion = gzip' is ignored: there is no such key\nHINT: did you mean 'compression'",
                 r"main\.conf:\d+: 'minimum_redundancy = many' cannot be used and is ignored\nHINT: use a whole number",
                 r"coffer\.conf:\d+: 'compression = best' cannot be used and is ignored\nHINT: use none, gzip"):
        assert len(re.findall(r"WARNING: \S+/" + line, told.stderr)) == 1, told.stderr
    assert "_WARNING" not in box.json(*command, check=False).get("main", {})


def test_check_passes_with_ignored_values_and_names_them(box, primary):
    box.add_server("main", primary, compresion="gzip")
    checked = box.cofferctl("check", "main", check=False)
    assert re.search(r"\tconfiguration: OK \(WARNING: \S+/main\.conf:\d+: 'compresion = gzip' is ignored", checked.stdout)
    assert box.json("check", "main", check=False)["main"]["configuration"]["status"] == "OK"
    (problem,) = box.json("diagnose")["servers"]["main"]["problems"]
    assert "compresion = gzip" in problem["text"]


@pytest.mark.parametrize("checksums", [True, False], ids=["checksums", "none"])
def test_show_backup_says_whether_pages_could_be_checked(place, box, checksums):
    server = Postgres(os.path.join(place, "server")).create(checksums=checksums).start()
    box.add_server("main", server)
    box.start("streamer")
    box.wait_streaming(server)
    shown = box.cofferctl("show-backup", "main", box.backup("main")).stdout
    assert re.search(r"Pages checked +: [1-9]", shown) if checksums else "no checksums in this cluster" in shown


@pytest.mark.parametrize("command", [["list-servers"], ["check", "all"]], ids=lambda words: words[0])
def test_a_box_without_servers_says_so(box, command):
    told = box.cofferctl(*command)
    assert f"WARNING: no server is configured: {box.config}\nHINT: add a file for it to {box.servers_directory}" in told.stderr
    assert told.stdout == ""
