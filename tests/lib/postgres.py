"""A PostgreSQL server of a test: made, started, stopped, killed, and asked."""
import itertools
import os
import signal
import socket

import psycopg2

from lib import clusters, pgroots, processes, waiting

# Below what the kernel gives to clients, so that none of their connections can sit on the port of a server that is started
# again; each process of a parallel run has ports of its own.
PORTS_OF_A_WORKER = 2000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_next_ports = itertools.cycle(range(12000 + _worker * PORTS_OF_A_WORKER, 12000 + (_worker + 1) * PORTS_OF_A_WORKER))


def free_port():
    """A port that nobody listens on now and that no other server of this run was given lately."""
    for port in _next_ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Postgres:
    """One server on 127.0.0.1. Its own fsync is off: the tests end processes, never the machine, and it is not what they judge."""

    def __init__(self, directory, version=15, port=None):
        self.version = version
        self.directory = processes.make_directory(directory)
        self.data = os.path.join(directory, "data")
        self.log = os.path.join(directory, "postgres.log")
        self.port = port or free_port()
        self.process = None
        self.place_settings = {"listen_addresses": "127.0.0.1", "fsync": "off", "shared_buffers": "32MB",
                               "logging_collector": "off", "log_destination": "stderr", "archive_timeout": "0"}

    # -- making

    def create(self, checksums=True, wal_segment_mb=None, **settings):
        options = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]
        if checksums:
            options.append("--data-checksums")
        elif self.version >= 18:
            options.append("--no-data-checksums")
        if wal_segment_mb:
            options.append(f"--wal-segsize={wal_segment_mb}")
        clusters.initdb(self.version, self.data, options)
        self.configure(max_wal_senders=10, max_replication_slots=10, wal_level="replica", **settings)
        return self

    def configure(self, **settings):
        """Appends to postgresql.conf; the last one wins. Takes effect at the next start or reload()."""
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            for key, value in settings.items():
                file.write(f"{key} = '{value}'\n")

    def standby(self, directory):
        """A standby of this server, made by its own pg_basebackup, not started yet."""
        other = Postgres(directory, self.version)
        pgroots.run(self.version, "pg_basebackup", "-D", other.data, "-d", self.conninfo(), "-R", "-c", "fast",
                    "--no-sync")
        return other

    @classmethod
    def adopt(cls, directory, version):
        """A server on a data directory that somebody else made: directory/data."""
        return cls(directory, version)

    # -- running

    def start(self, wait=True, seconds=60):
        """Settings of place are given on the command line, so that the files stay what they were."""
        assert self.process is None or self.process.poll() is not None
        arguments = ["-D", self.data, "-p", self.port, "-k", self.directory]
        for setting in self.place_settings.items():
            arguments += ["-c", "=".join(setting)]
        self.process = processes.start(pgroots.command(self.version, "postgres", *arguments), self.log)
        if wait:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=60):
        try:
            waiting.until(self.accepts, f"server in {self.directory} accepts connections", seconds, [self.process])
        except waiting.Expired as expired:
            raise waiting.Expired(f"{expired}\n{self.log_tail()}") from None

    def accepts(self):
        try:
            psycopg2.connect(self.conninfo()).close()
            return True
        except psycopg2.OperationalError:
            return False

    def stop(self, how="fast", seconds=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
            self.process.wait(timeout=seconds)

    def kill(self):
        processes.kill_tree(self.process)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def promote(self):
        self.query("select pg_promote(true, 60)")

    def log_tail(self, lines=25):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    # -- asking

    def conninfo(self, user="postgres", dbname="postgres", **more):
        pairs = {"host": "127.0.0.1", "port": self.port, "user": user, "dbname": dbname} | more
        return " ".join(f"{key}={value}" for key, value in pairs.items())

    def connect(self, autocommit=True, **more):
        connection = psycopg2.connect(self.conninfo(**more))
        connection.autocommit = autocommit
        return connection

    def query(self, sql, *parameters, dbname="postgres"):
        """All rows (nothing for a command without rows), on a connection of its own."""
        connection = self.connect(dbname=dbname)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, *parameters, dbname="postgres"):
        return self.query(sql, *parameters, dbname=dbname)[0][0]

    def switch_wal(self):
        """Ends the current segment with something in it; returns the segment's name."""
        self.query("select pg_logical_emit_message(false, 'test', 'end of a segment')")
        return self.value("select pg_walfile_name(pg_switch_wal())")

    def wait_for(self, sql, what, seconds=30, *parameters):
        """Until the query's first value is true; for what the server knows and does not announce."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                def holds():
                    cursor.execute(sql, parameters or None)
                    row = cursor.fetchone()
                    return row and row[0]

                return waiting.until(holds, what, seconds, [self.process])
        finally:
            connection.close()

    def pgbench(self, *arguments, **more):
        return pgroots.run(self.version, "pgbench", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", *arguments,
                           "postgres", **more)
