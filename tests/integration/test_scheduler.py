"""coffer-scheduler on a real bus. The worker is a script that behaves as told by the backup's name; what counts here is how
jobs are queued, shown, canceled and ended. Backups themselves are the matter of other tests."""
import os
import stat

import dbus
import dbus.bus
import pytest

from lib import processes, waiting
from lib.box import Box

ROOT = "/org/pgcoffer/Scheduler1"
NAME = "org.pgcoffer.Scheduler1"
PROPERTIES = "org.freedesktop.DBus.Properties"

# Progress as coffer-job sends it. "slow" waits to be canceled, "stubborn" must be killed, "killed" dies by itself.
_WORKER = """#!/usr/bin/python3
import json, os, signal, socket, sys
spec = json.load(open(sys.argv[2]))
tell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tell.connect(spec["progress_socket"])
def send(**values):
    tell.send(json.dumps({"job": spec["job_id"], **values}).encode())
def canceled(*_):
    sys.exit(3)
what = spec["options"].get("name", "")
signal.signal(signal.SIGTERM, signal.SIG_IGN if what == "stubborn" else canceled)
send(phase="copy", done=250, total=1000, message="copying")
if what in ("slow", "stubborn"):
    while True:
        signal.pause()
if what == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "full":
    send(result="failed", error={"name": "org.pgcoffer.Error.NoSpace", "what": "disk is full", "where": "/srv",
                                 "remedy": "free some space"})
    sys.exit(1)
send(result="done", backup_id="20260101T000000")
"""


class SchedulerBox(Box):
    """A box whose jobs are the script."""

    def environment(self, **more):
        return super().environment(**more) | {"COFFER_LIBEXEC": os.path.join(self.directory, "libexec")}


class Client:
    def __init__(self, box):
        self.bus = dbus.bus.BusConnection(f"unix:path={box.bus_socket}")
        self.manager = dbus.Interface(self._at(ROOT), f"{NAME}.Manager")

    def _at(self, path):
        return self.bus.get_object(NAME, path, introspect=False)

    def enqueue(self, server="main", kind="backup", **options):
        values = dbus.Dictionary(options, signature="sv")
        return self.manager.Enqueue(server, kind, values)

    def state(self, job):
        return self._at(job).GetAll("org.pgcoffer.Job1", dbus_interface=PROPERTIES)

    def wait(self, job, **expected):
        def reached():
            state = self.state(job)
            return state if all(state[key] == value for key, value in expected.items()) else None
        return waiting.until(reached, f"{job} is {expected}", 20)

    def cancel(self, job):
        self._at(job).Cancel(dbus.UInt64(0), dbus_interface="org.pgcoffer.Job1")


@pytest.fixture
def box(place):
    box = SchedulerBox(os.path.join(place, "box"))
    worker = os.path.join(processes.make_directory(os.path.join(box.directory, "libexec")), "coffer-job")
    processes.write(worker, _WORKER)
    os.chmod(worker, os.stat(worker).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    for name in ("main", "other", "third"):
        processes.write(os.path.join(box.servers_directory, f"{name}.conf"), f"[{name}]\nconninfo = host=/nowhere\n")
    return box.start("scheduler")


@pytest.fixture
def client(box):
    client = Client(box)
    yield client
    client.bus.close()


def refusal(call):
    with pytest.raises(dbus.DBusException) as caught:
        call()
    return caught.value


def test_a_job_is_followed_to_its_end(client):
    number, job = client.enqueue(name="weekly", fast=True)
    assert job == f"{ROOT}/job/_{number}"
    state = client.wait(job, State="finished")
    assert state["Result"] == "done"
    assert state["BackupId"] == "20260101T000000"
    assert 0 < state["QueuedUSec"] <= state["StartUSec"] <= state["EndUSec"]


def test_progress_is_shown_while_it_runs(client):
    _, job = client.enqueue(name="slow")
    state = client.wait(job, Phase="copy")
    assert (state["BytesDone"], state["BytesTotal"], state["Progress"]) == (250, 1000, 0.25)
    assert client.manager.ListJobs(dbus.UInt64(0))[0][4] == "running"
    client.cancel(job)
    assert client.wait(job, State="finished")["Result"] == "canceled"
    assert client.manager.ListJobs(dbus.UInt64(0)) == []


def test_a_failure_keeps_its_reason_and_remedy(client):
    _, job = client.enqueue(name="full")
    state = client.wait(job, State="finished")
    assert state["Result"] == "failed"
    assert state["ErrorName"] == "org.pgcoffer.Error.NoSpace"
    assert state["ErrorMessage"] == "disk is full: /srv"
    assert state["Remedy"] == "free some space"


def test_a_job_that_dies_has_failed(client):
    _, job = client.enqueue(name="killed")
    state = client.wait(job, State="finished")
    assert state["Result"] == "failed"
    assert "signal 9" in state["ErrorMessage"]


def test_a_second_cancel_kills(client):
    _, job = client.enqueue(name="stubborn")
    client.wait(job, Phase="copy")
    client.cancel(job)
    client.wait(job, State="canceling")
    client.cancel(job)
    assert client.wait(job, State="finished")["Result"] == "canceled"


def test_backups_wait_for_their_turn(client):
    first, second, third = (client.enqueue(server, name="slow")[1] for server in ("main", "other", "third"))
    client.wait(second, State="running")
    assert client.state(third)["State"] == "queued"
    client.cancel(first)
    client.wait(third, State="running")


def test_a_second_backup_of_a_server_is_refused(client):
    client.enqueue(name="slow")
    error = refusal(client.enqueue)
    assert error.get_dbus_name() == "org.pgcoffer.Error.Busy"
    assert "cancel it" in error.get_dbus_message()


@pytest.mark.parametrize("call, name", [
    (dict(server="nobody"), "NoSuchServer"),
    (dict(kind="dance"), "NotSupported"),
    (dict(nmae="weekly"), "InvalidArgument"),
    (dict(fast="yes"), "InvalidArgument"),
    (dict(kind="restore", backup="latest"), "InvalidArgument"),
])
def test_what_cannot_be_done_is_refused(client, call, name):
    error = refusal(lambda: client.enqueue(**call))
    assert error.get_dbus_name() == f"org.pgcoffer.Error.{name}"


def test_a_stopping_scheduler_ends_its_jobs(box, client):
    _, job = client.enqueue(name="slow")
    client.wait(job, Phase="copy")
    assert box.scheduler.stop() == 0
    assert os.listdir(os.path.join(box.runtime, "jobs")) == []


def test_a_killed_scheduler_comes_back(box, client):
    number, job = client.enqueue(name="slow")
    client.wait(job, Phase="copy")
    box.scheduler.kill()
    box.scheduler.start()
    assert Client(box).enqueue(name="weekly")[0] > number


def test_nobody_else_may_act(box, client):
    script = (f"import dbus.bus; b = dbus.bus.BusConnection('unix:path={box.bus_socket}'); "
              f"b.get_object('{NAME}', '{ROOT}', introspect=False).Enqueue('main', 'backup', "
              f"__import__('dbus').Dictionary(dict(), signature='sv'), dbus_interface='{NAME}.Manager')")
    done = processes.run(["setpriv", "--reuid=65534", f"--regid={processes.GID}", "--clear-groups",
                          "/usr/bin/python3", "-c", script],
                         check=False)
    assert "org.pgcoffer.Error.PermissionDenied" in done.stderr, done.stderr


def test_the_log_level_can_be_changed(client):
    control = client.bus.get_object(NAME, "/org/freedesktop/LogControl1", introspect=False)
    control.Set("org.freedesktop.LogControl1", "LogLevel", dbus.String("debug", variant_level=1),
                dbus_interface=PROPERTIES)
    assert control.Get("org.freedesktop.LogControl1", "LogLevel", dbus_interface=PROPERTIES) == "debug"
