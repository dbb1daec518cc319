"""README's "Deploying" with a real server: its roles, pg_hba.conf, passwords and configuration lead to a green check, and all
its commands work. What it says of the box's installation is tests/system's.
"""
import functools
import os
import re
import shlex

from lib import processes, readme
from lib.postgres import Postgres

HERE = "127.0.0.1"


def serve_as_readme_says(directory, version):
    """A server that asks for passwords, except of its superuser."""
    (hba,) = [block for block in readme.blocks("Deploying") if block.startswith("host ")]
    server = Postgres(directory, version).create()
    processes.write(os.path.join(server.data, "pg_hba.conf"),
                    f"host all postgres {HERE}/32 trust\n" + re.sub(r"\S+/32", f"{HERE}/32", hba))
    server.start()
    for statement in readme.statements("Deploying")[0]:
        server.query(statement)
    return server


def configure_as_readme_says(box, server):
    files = readme.files("Deploying")
    (shop,) = [text for path, text in files.items() if path.endswith("shop.conf")]
    processes.write(os.path.join(box.servers_directory, "shop.conf"),
                    shop.replace("host=shop-db", f"host={HERE} port={server.port}"))
    home = processes.make_directory(os.path.join(box.directory, "home-of-coffer"))
    passwords = files["/var/lib/coffer/.pgpass"].replace("shop-db:5432", f"{HERE}:{server.port}")
    processes.write(os.path.join(home, ".pgpass"), passwords)
    os.chmod(os.path.join(home, ".pgpass"), 0o600)
    box.environment = functools.partial(box.environment, HOME=home)


def commands():
    (block,) = [block for block in readme.command_blocks("Deploying") if block[0].startswith("cofferctl ")]
    return {words[1]: words[1:] for words in map(shlex.split, block)}


def test_a_server_is_protected_as_readme_says(place, box, version):
    server = serve_as_readme_says(os.path.join(place, "server"), version)
    configure_as_readme_says(box, server)
    box.start()
    box.wait_streaming(server)
    command = commands()
    checked = box.cofferctl(*command.pop("check"))
    assert "FAILED" not in checked.stdout
    for statement in readme.statements("Deploying")[1]:
        server.query(statement)
    box.wait_synchronous(server)
    box.cofferctl(*command.pop("backup"))
    assert re.search(r"^shop \d{8}T\d{6} - ", box.cofferctl(*command.pop("list-backups")).stdout)
    server.query("create table kept()")
    moment = server.value("select clock_timestamp()::text")
    server.query("drop table kept")
    words = command.pop("restore")
    words[words.index("--target-time") + 1] = moment
    restored = Postgres(os.path.join(place, "restored"), version)
    box.cofferctl(*[restored.data if word.startswith("/var/lib/postgresql") else word for word in words])
    restored.place_settings["synchronous_standby_names"] = ""
    restored.start()
    assert restored.value("select count(*) from pg_class where relname = 'kept'") == 1
    assert not command
