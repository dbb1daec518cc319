"""Root restores: the files belong to whom they should, and nothing that root leaves behind is in anybody's way."""
import os
import signal

import pytest

from lib import judge, processes
from lib.postgres import Postgres


@pytest.fixture
def protected(primary, box):
    box.add_server("main", primary, archiver="on")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.backup = box.backup("main")
    return primary


def restore_as_root(box, *arguments, kill_point=None, **more):
    argv = [os.path.join(processes.BIN, "coffer-job"), "restore", "main", *arguments, "--config", box.config]
    return processes.run(argv, env=box.environment(COFFER_KILL_POINT=kill_point), **more)


def test_a_killed_restore_of_root_does_not_keep_the_backup_from_being_deleted(place, box, protected):
    target = processes.make_directory(os.path.join(place, "restored"))
    done = restore_as_root(box, protected.backup, os.path.join(target, "data"), kill_point="job.restore.begin", check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    box.cofferctl("delete", "main", protected.backup)
    assert box.backup_ids("main") == []


def test_what_root_restores_belongs_to_the_owner_of_the_place(place, box, protected):
    restored = Postgres(os.path.join(place, "restored"))
    real = processes.make_directory(os.path.join(place, "disk"))
    os.symlink(real, restored.data)  # as a volume is often put in its place
    restore_as_root(box, protected.backup, restored.data)
    for directory, folders, names in os.walk(real):
        for name in folders + names:
            status = os.lstat(os.path.join(directory, name))
            assert (status.st_uid, status.st_gid) == (processes.UID, processes.GID), name
    judge.wait_promoted(restored.start())
