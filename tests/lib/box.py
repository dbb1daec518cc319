"""A Coffer box of a test: its directories, configuration, private bus and services, as an ordinary user.

The bus is a dbus-daemon of its own that allows everything; the services find it through DBUS_SYSTEM_BUS_ADDRESS. A service
counts as started when it has said READY=1, as it does to systemd.
"""
import json
import os
import select
import signal
import socket
import time

import dbus.bus

from lib import processes, waiting
from lib.postgres import Postgres

SERVICES = ("streamer", "archiver", "scheduler")

_BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow send_type="signal"/>
    <allow receive_type="signal"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""


class Service:
    """One process of the box."""

    def __init__(self, box, name):
        self.box = box
        self.name = name
        self.log = os.path.join(box.directory, f"{name}.log")
        self.process = None

    def start(self, kill_point=None, wait=True, seconds=15):
        """kill_point: "name" or "name:N", at which this process ends itself as a power cut would."""
        assert not self.running(), f"{self.name} runs already"
        notify_path = os.path.join(self.box.runtime, f"notify-{self.name}")
        if os.path.exists(notify_path):
            os.unlink(notify_path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(notify_path)
            os.chmod(notify_path, 0o666)
            env = self.box.environment(NOTIFY_SOCKET=notify_path, COFFER_KILL_POINT=kill_point)
            argv = [os.path.join(processes.BIN, f"coffer-{self.name}"), "--config", self.box.config,
                    "--runtime-dir", self.box.runtime]
            self.process = processes.start(processes.AS_USER + argv, self.log, env=env)
            if wait:
                self._wait_ready(notify, seconds)
        return self

    def _wait_ready(self, notify, seconds):
        """The service's READY=1, or its end (which a test with a kill point may want)."""
        deadline = time.monotonic() + seconds
        ended = os.pidfd_open(self.process.pid)
        try:
            while True:
                readable = select.select([notify, ended], [], [], max(0, deadline - time.monotonic()))[0]
                if notify in readable and b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
                if ended in readable:
                    self.process.wait()
                    if self.process.returncode == -signal.SIGKILL:
                        return
                    raise waiting.Expired(f"{self.name} ended with {self.process.returncode}\n{self.log_tail()}")
                if not readable:
                    raise waiting.Expired(f"{self.name} was not ready within {seconds} s\n{self.log_tail()}")
        finally:
            os.close(ended)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.running():
            processes.kill_tree(self.process)

    def stop(self, seconds=15):
        """SIGTERM, as systemd does; the exit status."""
        if self.running():
            self.process.terminate()
            self.process.wait(timeout=seconds)
        return self.process.returncode if self.process else None

    def wait_killed(self, seconds=30):
        """Until a kill point (or anybody) ended it with SIGKILL."""
        self.process.wait(timeout=seconds)
        assert self.process.returncode == -signal.SIGKILL, f"{self.name}: {self.process.returncode}\n{self.log_tail()}"

    def log_tail(self, lines=30):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])


class Box:
    def __init__(self, directory):
        self.directory = processes.make_directory(directory)
        self.home = processes.make_directory(os.path.join(directory, "home"))
        self.runtime = processes.make_directory(os.path.join(directory, "run"))
        self.etc = processes.make_directory(os.path.join(directory, "etc"))
        self.servers_directory = processes.make_directory(os.path.join(self.etc, "coffer.d"))
        self.config = os.path.join(self.etc, "coffer.conf")
        self.bus_socket = os.path.join(directory, "bus.sock")
        self.bus_process = None
        self.services = {name: Service(self, name) for name in SERVICES}
        self.configure()

    def __getattr__(self, name):
        if name in SERVICES:
            return self.services[name]
        raise AttributeError(name)

    # -- configuration

    def configure(self, **settings):
        values = {"coffer_home": self.home, "configuration_files_directory": self.servers_directory,
                  "barman_lock_directory": self.runtime, "log_level": "DEBUG"} | settings
        processes.write(self.config, "[coffer]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()))

    def add_server(self, name, postgres, **settings):
        """One file, dropped as configuration management does it: renamed into place."""
        values = {"description": f"test server {name}", "conninfo": postgres.conninfo(),
                  "streaming_conninfo": postgres.conninfo(dbname="replication"), "backup_method": "postgres",
                  "streaming_archiver": "on", "slot_name": "coffer", "create_slot": "auto",
                  "immediate_checkpoint": "true"} | settings
        text = f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items() if v is not None)
        processes.write(os.path.join(self.servers_directory, f"{name}.conf"), text)

    def path(self, server, *parts):
        return os.path.join(self.home, server, *parts)

    def wals(self, server):
        """Names of the segments in the archive."""
        found = []
        for folder, _, names in os.walk(self.path(server, "wals")):
            if len(os.path.basename(folder)) == 16:
                found += [name for name in names if len(name) == 24]
        return sorted(found)

    def holes(self, server):
        """Numbers of 16 MB segments absent between the first and the last of the archive (one timeline)."""
        numbers = [int(name[8:16], 16) * 256 + int(name[16:], 16) for name in self.wals(server)]
        return sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []

    # -- processes

    def environment(self, **more):
        return processes.environment(DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.bus_socket}", COFFER_CONFIG=self.config,
                                     COFFER_RUNTIME_DIR=self.runtime, COFFER_LIBEXEC=processes.BIN, **more)

    def start_bus(self):
        config = os.path.join(self.directory, "bus.conf")
        processes.write(config, _BUS_CONFIG.format(socket=self.bus_socket))
        if os.path.exists(self.bus_socket):
            os.unlink(self.bus_socket)
        argv = processes.AS_USER + ["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}"]
        self.bus_process = processes.start(argv, os.path.join(self.directory, "bus.log"))
        waiting.until(self._bus_accepts, "the bus accepts connections", 10, [self.bus_process])

    def _bus_accepts(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.bus_socket) == 0

    def start(self, *names):
        """The bus and the named services (all of them without names)."""
        if not (self.bus_process and self.bus_process.poll() is None):
            self.start_bus()
        for name in names or SERVICES:
            self.services[name].start()
        return self

    def kill(self):
        """SIGKILL to every process of the box at once."""
        for service in self.services.values():
            service.kill()

    def stop(self):
        for service in reversed(self.services.values()):
            service.stop()
        if self.bus_process:
            processes.kill_tree(self.bus_process)

    # -- asking

    def cofferctl(self, *arguments, check=True, timeout=120, **env):
        """The finished process; its output is text."""
        argv = [os.path.join(processes.BIN, "cofferctl"), "--config", self.config, *arguments]
        return processes.run_as_user(argv, check=check, timeout=timeout, env=self.environment(**env))

    def json(self, *arguments, **more):
        return json.loads(self.cofferctl("-f", "json", *arguments, **more).stdout)

    def job(self, *arguments, kill_point=None, check=True, timeout=300):
        """A worker run directly, without the scheduler: backup SERVER … or restore SERVER ID DEST …"""
        kind, rest = arguments[0], arguments[1:]
        argv = [os.path.join(processes.BIN, "coffer-job"), kind, *rest, "--config", self.config]
        return processes.run_as_user(argv, check=check, timeout=timeout,
                                     env=self.environment(COFFER_KILL_POINT=kill_point))

    def backup(self, server, *options, **more):
        """Takes a backup; its ID."""
        before = set(self.backup_ids(server))
        self.job("backup", server, *options, **more)
        # One that a crash cut off before it had a record gets one now, as FAILED: it is not ours.
        made = [each for each in self.backup_ids(server)
                if each not in before and self.backup_info(server, each)["status"] != "FAILED"]
        assert len(made) == 1, f"{made} appeared"
        return made[0]

    def backup_ids(self, server):
        """Of every backup that has a record and is not deleted, oldest first."""
        try:
            names = os.listdir(self.path(server, "meta"))
        except FileNotFoundError:
            return []
        found = {kind: {n[:-len(kind)] for n in names if n.endswith(kind)} for kind in ("-backup.info", "-delete_this")}
        return sorted(found["-backup.info"] - found["-delete_this"])

    def wait_space_freed(self, server, seconds=30):
        """Until nothing is left of the backups that were deleted."""
        waiting.until(lambda: not [n for n in os.listdir(self.path(server, "meta")) if n.endswith("-delete_this")],
                      "the space of deleted backups is freed", seconds)

    def backup_info(self, server, backup):
        """The record's lines as text."""
        with open(self.path(server, "meta", f"{backup}-backup.info"), encoding="utf-8") as info:
            return dict(line.rstrip("\n").split("=", 1) for line in info if "=" in line)

    def restore(self, server, backup, directory, *options, version=15):
        """Restores into directory/data; the server there, not started."""
        processes.make_directory(directory)
        restored = Postgres(directory, version)
        restored.place_settings["synchronous_standby_names"] = ""  # nobody stands by the restored one
        self.job("restore", server, backup, restored.data, *options)
        return restored

    def property(self, service, server, name):
        """A property of Streamer1.Server or Archiver1.Server, from the bus."""
        capital = service.capitalize()
        bus = dbus.bus.BusConnection(f"unix:path={self.bus_socket}")
        try:
            path = f"/org/pgcoffer/{capital}1/server/{_path_encode(server)}"
            remote = bus.get_object(f"org.pgcoffer.{capital}1", path, introspect=False)
            return remote.Get(f"org.pgcoffer.{capital}1.Server", name, dbus_interface="org.freedesktop.DBus.Properties")
        finally:
            bus.close()

    # -- waiting

    def wait_streaming(self, postgres, seconds=30):
        """Until the server has a streaming client, which is the box."""
        postgres.wait_for("select count(*) > 0 from pg_stat_replication where state = 'streaming'",
                          "the box streams", seconds)

    def wait_synchronous(self, postgres, seconds=30):
        postgres.wait_for("select count(*) > 0 from pg_stat_replication where sync_state in ('sync', 'quorum')",
                          "the box is the synchronous standby", seconds)

    def wait_durable(self, postgres, seconds=30):
        """Until the box has confirmed everything that the server had written at the call."""
        if postgres.value("select pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"):
            # What a transaction without a number wrote, such as vacuum's marks, is flushed by the next commit only.
            postgres.query("select pg_logical_emit_message(true, 'tests', '')")
        lsn = postgres.value("select pg_current_wal_flush_lsn()")
        postgres.wait_for("select coalesce(bool_or(flush_lsn >= %s::pg_lsn), false) from pg_stat_replication",
                          f"the box confirms {lsn}", seconds, lsn)

    def wait_archived(self, server, segment, seconds=30):
        """Until the segment is in the archive."""
        folder = self.path(server, "wals", segment[:16])
        waiting.until(lambda: os.path.exists(os.path.join(folder, segment)), f"{segment} is archived", seconds)


def _path_encode(name):
    """sd_bus_path_encode(3)."""
    if not name:
        return "_"
    return "".join(c if c.isascii() and (c.isalpha() or (c.isdigit() and i)) else f"_{ord(c):02x}"
                   for i, c in enumerate(name))
