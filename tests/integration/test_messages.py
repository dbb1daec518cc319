"""What cofferctl says to people when something is not as it should be: what, where, and what to do."""
import os
import re

import pytest

from lib.postgres import Postgres


@pytest.fixture
def stopped(written):
    """As written, the server gone too, so that nothing waits for it."""
    written.stop()
    return written


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
