"""Fixtures of the integration tests. Everything of a test lies under one directory and ends with it."""
import os
import shutil
import signal
import sys
import threading

import pytest

from lib import pgroots, processes
from lib.box import Box
from lib.disks import Disk
from lib.ledger import Ledger
from lib.postgres import Postgres

# An interrupted run must clean up too: SIGTERM becomes an orderly exit. (xdist may load this in another thread, where that
# cannot be said.)
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


# The files that take longest, first: at the end of a parallel run no worker waits long for another.
LONGEST = ("kill_points", "restore_delta", "takeover", "export", "rpo_zero", "scrub", "generations", "restore_databases",
           "restore_targets", "flipped_byte", "messages", "incremental", "segment_sizes", "images")


def pytest_collection_modifyitems(items):
    order = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session")
def base():
    """The directory of this run."""
    directory = processes.make_directory(processes.RUN)
    yield directory
    processes.end_all()
    if not os.environ.get("COFFER_KEEP"):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def place(base, request):
    """The directory of one test. Its processes end with the test; COFFER_KEEP=1 keeps the files."""
    safe = "".join(c if c.isalnum() else "-" for c in request.node.name)[:40].strip("-")
    directory = processes.make_directory(os.path.join(base, safe))
    yield directory
    processes.end_all()
    if not os.environ.get("COFFER_KEEP"):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=pgroots.VERSIONS, ids=lambda v: f"pg{v}")
def version(request):
    """Every PostgreSQL version of the tests."""
    return request.param


@pytest.fixture
def primary(place):
    """A running server of the distribution's version."""
    return Postgres(os.path.join(place, "primary")).create().start()


@pytest.fixture
def box(place):
    """A box, configured with no server and not started."""
    return Box(os.path.join(place, "box"))


@pytest.fixture
def written(primary, box):
    """A box with a finished backup and compressed WAL behind it, its processes gone."""
    box.add_server("main", primary, compression="gzip", archiver="on")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    ledger = Ledger(primary).create().start()
    ledger.wait_more(50)
    primary.backup = box.backup("main", "--name", "nightly")
    ledger.wait_more(50)
    segment = primary.switch_wal()
    ledger.wait_more(10)
    ledger.stop()
    last = primary.switch_wal()
    box.wait_archived("main", last)
    box.stop()
    primary.ledger, primary.segments = ledger, (segment, last)
    return primary


@pytest.fixture
def disk(place):
    """disk(kind, megabytes, name): a file system of its own, unmounted at the end."""
    made = []

    def make(kind, megabytes, name="disk"):
        made.append(Disk(os.path.join(place, name), kind, megabytes))
        return made[-1]

    yield make
    processes.end_all()
    for each in made:
        each.unmount()
