"""Barman as a judge, and as the one whose catalogue is taken over: Debian 12's 3.4, and 3.20 in a root of forky."""
import json
import os
import stat

from lib import pgroots, processes

OLD, NEW = "3.4", "3.20"

# A remote shell to this very machine: Barman's rsync method wants one, and what it writes does not depend on which.
_REMOTE_SHELL = """#!/bin/sh
options() {
    skipped=0
    while [ "${1#-}" != "$1" ]; do
        case $1 in -[opl]) skipped=$((skipped + 1)); shift ;; esac
        skipped=$((skipped + 1)); shift
    done
}
options "$@"; shift $skipped; shift
options "$@"; shift $skipped
exec /bin/sh -c "$*"
"""


def barman(box, *arguments, **more):
    """Debian's Barman on a box's configuration: its [barman] section instead of [coffer], its user instead of ours."""
    with open(box.config, encoding="utf-8") as ours:
        text = ours.read().replace("[coffer]", "[barman]").replace("coffer_home", "barman_home")
    config = os.path.join(box.etc, "barman.conf")
    processes.write(config, text + f"barman_user = {processes.USER}\nlog_file = {box.directory}/barman.log\n")
    return run(OLD, config, box.directory, *arguments, **more)


def command(release, config, *arguments):
    argv = ["/usr/bin/barman", "-c", config, *arguments]
    return pgroots.in_root(pgroots.ensure_root("peers"), argv) if release == NEW else processes.AS_USER + argv


def run(release, config, home, *arguments, **more):
    return processes.run(command(release, config, *arguments), env=processes.environment(HOME=home), **more)


class Barman:
    """An installation of Barman with one server, "main": its configuration files, its home, its commands."""

    def __init__(self, directory, release, postgres):
        self.release = release
        self.postgres = postgres
        self.directory = processes.make_directory(directory)
        self.home = processes.make_directory(os.path.join(directory, "barman_home"))
        self.config = os.path.join(directory, "barman.conf")
        self.servers_directory = processes.make_directory(os.path.join(directory, "barman.d"))
        self.shell = os.path.join(directory, "remote-shell")
        processes.write(self.shell, _REMOTE_SHELL)
        os.chmod(self.shell, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP)
        processes.write(self.config, f"[barman]\nbarman_user = {processes.USER}\nbarman_home = {self.home}\n"
                        f"configuration_files_directory = {self.servers_directory}\n"
                        f"log_file = {directory}/barman.log\nlog_level = INFO\n")
        self.settings = {"description": "a server of Barman's", "conninfo": postgres.conninfo(),
                         "streaming_conninfo": postgres.conninfo(dbname="replication"), "backup_method": "postgres",
                         "streaming_archiver": "on", "archiver": "on", "slot_name": "barman", "create_slot": "auto",
                         "immediate_checkpoint": "true", "ssh_command": f"{self.shell} localhost"}
        if release == NEW:
            self.settings["path_prefix"] = "/usr/lib/postgresql/18/bin"
        self.configure()

    def configure(self, **settings):
        """Changes the server's file; None takes a setting away."""
        self.settings |= settings
        text = "".join(f"{key} = {value}\n" for key, value in self.settings.items() if value is not None)
        processes.write(os.path.join(self.servers_directory, "main.conf"), f"[main]\n{text}")

    def path(self, *parts):
        return os.path.join(self.home, "main", *parts)

    def run(self, *arguments, **more):
        return run(self.release, self.config, self.directory, *arguments, **more)

    def json(self, *arguments, **more):
        return json.loads(self.run("-f", "json", *arguments, **more).stdout)

    def backups(self, **more):
        """IDs, oldest first."""
        return sorted(self.run("list-backups", "main", "--minimal", **more).stdout.split())

    def backup(self, *options, **settings):
        """Takes a backup, with these settings for this one, and waits for its WAL; its ID."""
        before, usual = self.backups(), dict(self.settings)
        self.configure(**settings)
        try:
            self.run("backup", "main", "--wait", *options)
        finally:
            self.settings = usual
            self.configure()
        made = [each for each in self.backups() if each not in before]
        assert len(made) == 1, made
        return made[0]

    def receive(self):
        """receive-wal, as cron would start it."""
        return processes.start(command(self.release, self.config, "receive-wal", "main"),
                               os.path.join(self.directory, "receive-wal.log"),
                               env=processes.environment(HOME=self.directory))
