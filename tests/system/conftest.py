"""Fixtures of the system tests: Coffer as README builds it, beside a Debian root that systemd boots in a container."""
import os
import shutil
import subprocess

import pytest

from lib import processes, readme

CACHE = os.environ.get("COFFER_TEST_CACHE", "/var/cache/coffer-tests")
BUILD_SECONDS = 1800  # of all that is shipped, on a slow machine without a ccache


def needs(condition, what):
    if not condition:
        pytest.skip(what)


@pytest.fixture(scope="session")
def pristine():
    """The root without Coffer; made when it is not there yet."""
    needs(os.geteuid() == 0, "booting a container needs root")
    needs(shutil.which("systemd-nspawn"), "systemd-nspawn is not installed (package systemd-container)")
    root = os.path.join(CACHE, "system")
    if not os.path.isdir(root):
        subprocess.run([os.path.join(processes.TOP, "tests", "lib", "pgroot.sh"), "system"], check=True)
    return root


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The tree that README's commands build and install."""
    tree = tmp_path_factory.mktemp("installed")
    update, packages, build, install = readme.command_blocks("Deploying")[0]
    # What is missing is for tests/run to install, and it has, lists and all; apt tells whether the line asks for anything that
    # is not there.
    assert update == "apt-get update"
    packages = packages.replace("apt-get install", "apt-get install --simulate")
    for command in (packages, build, install):
        done = subprocess.run(["bash", "-c", command], cwd=processes.TOP, env={**os.environ, "DESTDIR": str(tree)},
                              capture_output=True, text=True, timeout=BUILD_SECONDS)
        assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr)[-4000:]}"
    return tree


@pytest.fixture(scope="module")
def root(pristine):
    """A root of this test module; the pristine one below it stays as it is."""
    place = f"/var/tmp/coffer-system-{os.getpid()}"
    merged = os.path.join(place, "root")
    # Not on an overlay itself: a tmpfs holds what is changed.
    os.makedirs(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", place], check=True)
    try:
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(place, name))
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                                  f"lowerdir={pristine},upperdir={place}/upper,workdir={place}/work", merged])
        needs(mounted.returncode == 0, "this kernel mounts no overlay")
        yield merged
    finally:
        subprocess.run(["umount", merged], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", place], check=True)
        os.rmdir(place)
        assert not os.path.exists(place)
