"""Starting programs as the ordinary user of the tests, and being sure that none outlives them.

Tests run as root (chroots, loop devices); PostgreSQL and Coffer never do. Every process gets SIGKILL from the kernel when
the test run dies, and is ended by end_all() when it ends.
"""
import os
import pwd
import signal
import subprocess

USER = os.environ.get("COFFER_TEST_USER", "postgres")
_user = pwd.getpwnam(USER)
UID, GID = _user.pw_uid, _user.pw_gid
TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("COFFER_BIN", os.path.join(TOP, "build", "debug", "bin"))

# Where everything of a run of the integration tests lies; the same path inside the chroots of other PostgreSQL versions.
RUN = f"/var/tmp/coffer-tests-{os.getpid()}"

AS_USER = ["setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups", "--pdeathsig", "KILL", "--"]
_started = []


def environment(**more):
    """A small known environment: nothing of the caller's PG* or COFFER_* variables, nothing from a home directory."""
    known = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TZ": "UTC"}
    return known | {key: str(value) for key, value in more.items() if value is not None}


def start(argv, log, env=None, **popen):
    """A process that stays, its output appended to log."""
    with open(log, "ab") as output:
        process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, env=env or environment(), cwd="/", **popen)
    _started.append(process)
    return process


def run(argv, check=True, env=None, timeout=300, **more):
    """A process that ends; its output as text. A failure shows the output."""
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=env or environment(), cwd="/", timeout=timeout, errors="replace", **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def run_as_user(argv, **more):
    return run(AS_USER + list(argv), **more)


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except FileNotFoundError:
        return []


def kill_tree(process):
    """SIGKILL to a process and its children, such that none of them acts on the death of another: a power cut."""
    if process.poll() is not None:
        return
    os.kill(process.pid, signal.SIGSTOP)  # no new children
    for pid in _children(process.pid) + [process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait(timeout=30)


def end_all():
    end_all_but(None)


def end_all_but(kept):
    for process in [p for p in reversed(_started) if p is not kept]:
        kill_tree(process)
        _started.remove(process)


def make_directory(path):
    """A directory that belongs to the tests' user."""
    os.makedirs(path, mode=0o750, exist_ok=True)
    os.chown(path, UID, GID)
    os.chmod(path, 0o750)
    return str(path)


def write(path, text):
    """A file that belongs to the tests' user, replaced in one step."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.chown(temporary, UID, GID)
    os.chmod(temporary, 0o640)
    os.rename(temporary, path)
