"""Fixtures of the system tests: Coffer installed in a Debian root that systemd boots in a container of its own."""
import os
import shutil
import subprocess

import pytest

from lib import processes

CACHE = os.environ.get("COFFER_TEST_CACHE", "/var/cache/coffer-tests")
BUILD = os.path.dirname(processes.BIN)


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


@pytest.fixture(scope="module")
def root(pristine):
    """A root of this test module with what is built installed; the pristine one below it stays as it is."""
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
        processes.run(["cmake", "--install", BUILD, "--prefix", "/usr"], env=processes.environment(DESTDIR=merged))
        processes.run(["systemd-sysusers", f"--root={merged}"])
        yield merged
    finally:
        subprocess.run(["umount", merged], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", place], check=True)
        os.rmdir(place)
        assert not os.path.exists(place)
