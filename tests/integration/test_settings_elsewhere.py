"""Clusters as Debian lays them out: postgresql.conf and pg_hba.conf are outside of the data directory."""
import os
import shlex

from lib import pgroots, processes
from lib.postgres import Postgres


def move_settings(primary, directory):
    """As pg_createcluster does; the file names the data directory."""
    processes.make_directory(directory)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        os.rename(os.path.join(primary.data, name), os.path.join(directory, name))
    with open(os.path.join(directory, "postgresql.conf"), "a", encoding="utf-8") as file:
        file.write(f"data_directory = '{primary.data}'\nhba_file = '{directory}/pg_hba.conf'\n"
                   f"ident_file = '{directory}/pg_ident.conf'\nport = {primary.port}\n"
                   f"unix_socket_directories = '{primary.directory}'\nlisten_addresses = '127.0.0.1'\n")
    primary.place_settings["config_file"] = os.path.join(directory, "postgresql.conf")


def start_command_of(output):
    lines = output.splitlines()
    return lines[next(n for n, line in enumerate(lines) if "Start it" in line) + 1].strip()


def test_the_printed_command_starts_the_restored_server_and_not_the_old_one(place, box):
    primary = Postgres(os.path.join(place, "primary")).create()
    move_settings(primary, os.path.join(place, "etc"))
    primary.start()
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table mark (n int)")
    backup = box.backup("main")
    primary.stop()

    data = os.path.join(place, "restored", "data")
    processes.make_directory(os.path.dirname(data))
    done = box.job("restore", "main", backup, data)
    assert "postgresql.conf is not in the backup" in done.stdout
    command = start_command_of(done.stdout)
    log = os.path.join(place, "restored", "log")
    processes.run_as_user(["sh", "-c", f"{command} -w -l {shlex.quote(log)}"])
    try:
        assert primary.value("show data_directory") == data
        assert primary.value("select count(*) from mark") == 0
    finally:
        pgroots.run(15, "pg_ctl", "-D", data, "stop", "-m", "immediate")
