"""The PostgreSQL versions that the tests use, and how their programs are run.

A version that the distribution has is run from /usr/lib/postgresql; another one from a root made by pgroot.sh, in a
chroot with a mount namespace of its own, in which /var/tmp, /dev, /proc and the user database are the machine's. So
paths, users and sockets are the same inside and outside, and the process id is that of the program itself.
"""
import os
import subprocess

from lib import processes

CACHE = os.environ.get("COFFER_TEST_CACHE", "/var/cache/coffer-tests")
VERSIONS = (15, 17, 18)

_ENTER = """
for each in /var/tmp /tmp /dev /proc; do mount --rbind $each "$0$each" || exit 126; done
for each in /etc/passwd /etc/group; do mount --bind $each "$0$each" || exit 126; done
exec chroot "$0" "$@"
"""


def _bin(version):
    return f"/usr/lib/postgresql/{version}/bin"


def ensure(version):
    """The root of this version, made when it is not there yet; "" for the machine's own."""
    if os.path.exists(f"{_bin(version)}/postgres"):
        return ""
    return ensure_root(f"pg{version}")


def ensure_root(name):
    """A root of pgroot.sh, made when it is not there yet."""
    root = f"{CACHE}/{name}"
    if not os.path.isdir(root):
        subprocess.run([os.path.join(os.path.dirname(__file__), "pgroot.sh"), name], check=True)
    return root


def in_root(root, argv):
    """argv to run argv as the tests' user inside a root."""
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _ENTER, root] + processes.AS_USER + list(argv)


def command(version, program, *arguments):
    """argv that runs a program of PostgreSQL, of exactly this version, as the tests' user."""
    argv = [f"{_bin(version)}/{program}", *map(str, arguments)]
    root = ensure(version)
    return in_root(root, argv) if root else processes.AS_USER + argv


def run(version, program, *arguments, **more):
    return processes.run(command(version, program, *arguments), **more)
