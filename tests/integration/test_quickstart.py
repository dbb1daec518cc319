"""What tools/quickstart leaves behind, and how its build is told: the functions of its scripts, one at a time."""
import os
import re
import subprocess

import pytest

from lib import processes

QUICKSTART = os.path.join(processes.TOP, "tools", "quickstart")


def bash(script, **kwargs):
    sources = [os.path.join(processes.TOP, path) for path in ("tests/lib/packages.sh", "tools/quickstart.d/box.sh")]
    program = "set -euo pipefail\n" + "".join(f". {path}\n" for path in sources) + script
    return subprocess.run(["bash", "-c", program], check=True, capture_output=True, text=True, **kwargs).stdout


def test_help_tells_every_option():
    shown = subprocess.run([QUICKSTART, "--help"], check=True, capture_output=True, text=True).stdout
    with open(QUICKSTART, encoding="utf-8") as script:
        options = re.findall(r"^    .*(--\w+)\) ", script.read(), re.M)
    assert len(options) == 3
    assert all(option in shown for option in options if option != "--help")


def test_an_unknown_option_is_refused():
    refused = subprocess.run([QUICKSTART, "--nonsense"], check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--stop" in refused.stderr


def test_a_build_tells_every_tenth_part_on_a_pipe():
    lines = "".join(f"[{n}/137] Building CXX object {n}.cpp.o\n" for n in range(1, 138))
    told = bash("build_progress", input="[1/2] Re-checking globbed directories...\n" + lines).splitlines()
    assert len(told) == 10
    assert told[0] == "  [14/137]" and told[-1] == "  [137/137]"


@pytest.fixture
def settings(tmp_path):
    return tmp_path / "postgresql-common" / "createcluster.conf"


def install(settings, what="true"):
    bash(f"createcluster={settings}; no_main_cluster; {what}; put_createcluster_back")


def test_the_packages_own_settings_are_there_after_an_installation(settings):
    install(settings, f"grep -q 'create_main_cluster = false' {settings}; echo theirs >{settings}.ucf-dist")
    assert settings.read_text() == "theirs\n"
    assert os.listdir(settings.parent) == [settings.name]


def test_settings_that_were_there_stay(settings):
    settings.parent.mkdir()
    settings.write_text("create_main_cluster = true\n")
    install(settings)
    assert settings.read_text() == "create_main_cluster = true\n"


def test_only_what_is_missing_is_installed():
    assert bash("packages_missing bash no-such-package dpkg || echo none") == "no-such-package\n"
    assert bash("packages_missing bash dpkg || echo none") == "none\n"


def test_what_root_builds_belongs_to_the_owner_of_the_checkout(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    checkout = tmp_path / "checkout"
    (checkout / "build" / "release").mkdir(parents=True)
    elsewhere.write_text("of root")
    (checkout / "build" / "link").symlink_to(elsewhere)
    (checkout / "build" / "release" / "program").write_text("")
    os.chown(checkout, 65534, 65534)
    bash(f"give_build_to_owner {checkout}")
    for folder, folders, files in os.walk(checkout):
        assert {os.lstat(os.path.join(folder, name)).st_uid for name in folders + files} <= {65534}
    assert elsewhere.stat().st_uid == 0
