"""The roles of provisioning/sql/roles.sql are enough for everything, and are no superusers."""
import os

import pytest

from lib import judge, pgroots, processes
from lib.postgres import Postgres

ROLES = os.path.join(processes.TOP, "provisioning", "sql", "roles.sql")


def make_roles(server, *options):
    script = os.path.join(server.directory, "roles.sql")
    with open(ROLES, encoding="utf-8") as text:
        processes.write(script, text.read())
    pgroots.run(server.version, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", server.conninfo(), *options, "-f", script)


@pytest.fixture
def server(place, version):
    made = Postgres(os.path.join(place, "server"), version).create().start()
    make_roles(made)
    return made


def test_the_roles_can_do_everything(place, box, server, version):
    box.add_server("main", server, conninfo=server.conninfo(user="coffer"), backup_politeness="low",
                   streaming_conninfo=server.conninfo(user="coffer_streaming", dbname="replication"))
    box.start()
    box.wait_streaming(server)
    server.query("create table t as select n from generate_series(1, 5000) n")
    box.cofferctl("backup", "main", "--wait")
    assert "FAILED" not in box.cofferctl("check", "main").stdout
    box.cofferctl("switch-wal", "main", *(["--force"] if version >= 15 else []))
    assert box.json("replication-status", "main")["main"]["streaming_clients"]
    for words in (["status", "main"], ["show-servers", "main"], ["diagnose"]):
        box.cofferctl(*words)
    box.wait_durable(server)
    restored = box.restore("main", "latest", os.path.join(place, "restored"), version=version)
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from t") == 5000


def test_the_rights_that_are_needed_now_and_then_are_there(server, version):
    connection = server.connect(user="coffer")
    with connection.cursor() as cursor:
        cursor.execute("select pg_read_binary_file('PG_VERSION', 0, 2, true)")
        assert bytes(cursor.fetchone()[0]) == str(version).encode()
        cursor.execute("select pg_create_restore_point('here')")
        start, stop = (("pg_backup_start('label', true)", "pg_backup_stop(false)") if version >= 15 else
                       ("pg_start_backup('label', true, false)", "pg_stop_backup(false, false)"))
        cursor.execute(f"select {start}")
        cursor.execute(f"select {stop}")
    connection.close()


def test_the_roles_are_no_superusers_and_other_names_can_be_given_again(server):
    make_roles(server)
    make_roles(server, "-v", "role=barman", "-v", "streaming_role=streaming_barman")
    rows = server.query("select rolname, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls, rolreplication, "
                        "rolcanlogin from pg_roles where rolname ~ 'coffer|barman' order by 1")
    assert rows == [("barman", False, False, True), ("coffer", False, False, True),
                    ("coffer_streaming", False, True, True), ("streaming_barman", False, True, True)]
    assert server.value("select not has_database_privilege('coffer', 'postgres', 'create')")
