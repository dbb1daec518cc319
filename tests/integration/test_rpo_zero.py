"""No acknowledged commit is ever missing from what is restored.

Clients commit synchronously, the box being the only synchronous standby, and remember each COMMIT that returned. Then
everything dies at a moment that a random number chose; the restored copy must hold all of them. COFFER_RPO_ROUNDS (20)
and COFFER_RPO_SEED repeat a run.
"""
import os
import random
import shutil

import pytest

from lib import judge
from lib.ledger import Ledger
from lib.proxy import Proxy

ROUNDS = int(os.environ.get("COFFER_RPO_ROUNDS", "20"))
SEED = os.environ.get("COFFER_RPO_SEED") or str(random.SystemRandom().randrange(10**6))


@pytest.fixture
def chance():
    print(f"COFFER_RPO_SEED={SEED}")
    return random.Random(SEED)


def protect(box, primary, **settings):
    """The box streams from the primary, holds one backup, and is its only synchronous standby."""
    box.add_server("main", primary, **settings)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    backup = box.backup("main")
    primary.configure(synchronous_standby_names="*")
    primary.reload()
    box.wait_synchronous(primary)
    return backup


def restore_and_check(box, place, backup, ledger):
    """Restores to the very end, with no process of the box alive, and looks for every acknowledged commit."""
    directory = os.path.join(place, "restored")
    restored = box.restore("main", backup, directory)
    restored.start()
    judge.wait_promoted(restored)
    ledger.check(restored)
    restored.kill()
    shutil.rmtree(directory)


def test_a_power_cut_of_everything_loses_no_acknowledged_commit(place, primary, box, chance):
    backup = protect(box, primary)
    ledger = Ledger(primary).create()
    for number in range(ROUNDS):
        ledger.start()
        ledger.wait_more(chance.randrange(1, 400))
        if chance.random() < 0.3:
            primary.switch_wal()
            ledger.wait_more(chance.randrange(1, 40))
        for victim in chance.sample([primary, box], 2):
            victim.kill()
        ledger.join()
        print(f"round {number}: {ledger.total()} acknowledged")
        restore_and_check(box, place, backup, ledger)
        box.start("streamer", "archiver")
        primary.start()
        box.wait_synchronous(primary)


def test_a_cut_network_loses_no_acknowledged_commit(place, primary, box, chance):
    proxy = Proxy(primary.port)
    through = primary.conninfo(dbname="replication").replace(f"port={primary.port}", f"port={proxy.port}")
    backup = protect(box, primary, streaming_conninfo=through)
    ledger = Ledger(primary).create()
    for number in range(ROUNDS):
        ledger.start()
        ledger.wait_more(chance.randrange(1, 300))
        chance.choice([proxy.cut, proxy.sever])()
        for victim in chance.sample([primary, box], 2):
            victim.kill()
        ledger.join()
        print(f"round {number}: {ledger.total()} acknowledged")
        restore_and_check(box, place, backup, ledger)
        proxy.mend()
        primary.start()
        box.start("streamer", "archiver")
        box.wait_synchronous(primary)


def settings_for(*servers):
    """With which the box streams from whichever of them is the primary."""
    hosts = ",".join("127.0.0.1" for _ in servers)
    ports = ",".join(str(server.port) for server in servers)
    conninfo = f"host={hosts} port={ports} user=postgres target_session_attrs=read-write"
    return {"conninfo": f"{conninfo} dbname=postgres", "streaming_conninfo": conninfo}


def test_a_promoted_standby_loses_no_acknowledged_commit(place, primary, box, chance):
    backup = protect(box, primary)
    ledger = Ledger(primary).create()
    for number in range(ROUNDS):
        standby = primary.standby(os.path.join(place, f"standby-{number}"))
        box.add_server("main", primary, **settings_for(primary, standby))
        standby.start()
        # Before the switch a commit is acknowledged only when the standby has it too: else promoting it would lose it.
        primary.configure(synchronous_standby_names="2 (*)")
        primary.reload()
        primary.wait_for("select count(*) = 2 from pg_stat_replication where sync_state = 'sync'", "both are synchronous")
        ledger.postgres = primary
        ledger.start()
        ledger.wait_more(chance.randrange(1, 200))
        primary.kill()
        ledger.join()
        standby.configure(synchronous_standby_names="*")
        standby.reload()
        standby.promote()
        box.wait_synchronous(standby)

        ledger.postgres = standby
        ledger.start()
        ledger.wait_more(chance.randrange(1, 200))
        for victim in chance.sample([standby, box], 2):
            victim.kill()
        ledger.join()
        print(f"round {number}: {ledger.total()} acknowledged")
        restore_and_check(box, place, backup, ledger)
        shutil.rmtree(primary.directory)
        primary = standby
        primary.start()
        box.start("streamer", "archiver")
        box.wait_synchronous(primary)
