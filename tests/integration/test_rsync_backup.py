"""backup_method = rsync and local-rsync: whole backups over a real sshd, at the cost of what has changed."""
import hashlib
import json
import os
import shlex
import stat

import pytest

from lib import judge, pgroots, processes
from lib.barman import barman
from lib.box import Box
from lib.ledger import Ledger
from lib.postgres import Postgres
from lib.sshd import Sshd

MEGABYTE = 1 << 20
KINDS = {"btrfs": "snapshot", "xfs": "reflink", "ext4": "hard link"}


@pytest.fixture
def host(place):
    """The database's host, as far as the box can tell."""
    return Sshd(os.path.join(place, "host")).start()


def protect(box, primary, ssh_command, **settings):
    method = {"backup_method": "rsync", "ssh_command": ssh_command} if ssh_command else {"backup_method": "local-rsync"}
    box.add_server("main", primary, **(method | settings))
    box.start("streamer", "archiver")
    box.wait_streaming(primary)


def extra(box, backup):
    with open(box.path("main", "meta", f"{backup}-coffer.json"), encoding="utf-8") as file:
        return json.load(file)


def tree(box, backup):
    return box.path("main", "base", backup)


def data(box, backup, *parts):
    return os.path.join(tree(box, backup), "data", *parts)


def content(directory):
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


def verify(box, backup, version=15):
    pgroots.run(version, "pg_verifybackup", "--exit-on-error", "--no-parse-wal", data(box, backup))


def restored_right_after(box, backup, directory, version=15):
    """A server that ends where the backup ends, running."""
    restored = box.restore("main", backup, directory, "--target-immediate", "--target-action", "promote", version=version)
    judge.verify_files(restored)
    restored.start()
    judge.wait_promoted(restored)
    return restored


def shim(place, name, script):
    """A program that stands for ssh; "$@" are the words that ssh would get."""
    path = os.path.join(place, name)
    processes.write(path, "#!/bin/bash\n" + script)
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_backup_is_whole_and_costs_what_has_changed(place, primary, host, disk, kind):
    volume = disk(kind, 1024, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    primary.pgbench("-i", "-q", "-s", "10")
    protect(box, primary, host.command(), parallel_jobs="3")
    first = box.backup("main")
    assert box.backup_info("main", first)["mode"] == "rsync-concurrent"
    assert extra(box, first)["way"] == "full" and extra(box, first)["base"] == ""
    verify(box, first)
    before = content(tree(box, first))
    primary.query("update pgbench_accounts set abalance = 7 where mod(aid, 20000) = 0")
    primary.query("create table more as select n from generate_series(1, 100) n")
    os.sync()
    free = volume.free()
    second = box.backup("main")
    os.sync()
    used = free - volume.free()
    told = extra(box, second)
    assert (told["base"], told["clone"], told["way"]) == (first, KINDS[kind], "incremental")
    verify(box, second)
    assert content(tree(box, first)) == before  # nothing was written into what the two share
    size = int(box.backup_info("main", first)["size"])
    assert size > 150 * MEGABYTE and told["bytes_received"] < size / 5
    if kind != "ext4":
        assert told["bytes_written"] < size / 10
        assert used < size / 2  # whole segments of WAL have come meanwhile, 16 MB each
    restored = restored_right_after(box, second, os.path.join(volume.mount_point, "restored"))
    assert restored.value("select count(*) from pgbench_accounts where abalance = 7") == 50
    assert restored.value("select count(*) from pgbench_accounts") == 1000000
    assert restored.value("select count(*) from more") == 100
    judge.verify_running(restored)
    restored.stop()
    judge.verify_stopped(restored)


def test_under_load_with_tablespaces_and_everything_else_nothing_is_lost(place, box, host, version):
    outside = processes.make_directory(os.path.join(place, "etc"))
    space = processes.make_directory(os.path.join(place, "a \"place\" with blanks"))
    primary = Postgres(os.path.join(place, "primary"), version).create()
    hba = os.path.join(outside, "pg_hba.conf")
    os.rename(os.path.join(primary.data, "pg_hba.conf"), hba)
    primary.configure(hba_file=hba)
    odd = os.path.join(primary.data, "odd\nname's \"file\" \\#012")
    processes.write(odd, "kept")
    primary.start()
    primary.query("create tablespace fast location '%s'" % space)
    primary.query("create table spaced tablespace fast as select n from generate_series(1, 2000) n")
    primary.query("create unlogged table fleeting as select n from generate_series(1, 20000) n")
    fleeting = primary.value("select pg_relation_filepath('fleeting')")
    protect(box, primary, host.command(), parallel_jobs="4", network_compression="true",
            tablespace_bandwidth_limit="fast:50000", bandwidth_limit="200000")
    ledger = Ledger(primary).create().start()
    ledger.wait_more(100)
    backups = []
    for _ in range(3):
        backups.append(box.backup("main"))
        verify(box, backups[-1], version)
        ledger.wait_more(50)
    for backup in backups:
        assert not os.path.exists(data(box, backup, fleeting)) and os.path.exists(data(box, backup, fleeting + "_init"))
        assert not os.path.exists(data(box, backup, "postmaster.pid"))
        assert os.listdir(data(box, backup, "pg_wal")) in ([], ["archive_status"])
        with open(data(box, backup, os.path.basename(odd)), encoding="utf-8") as file:
            assert file.read() == "kept"
        with open(hba, encoding="utf-8") as one, open(data(box, backup, "pg_hba.conf"), encoding="utf-8") as other:
            assert one.read() == other.read()
    ledger.stop()
    box.wait_durable(primary)
    restored = box.restore("main", backups[-1], os.path.join(place, "restored"), "--tablespace",
                           f"fast:{os.path.join(place, 'elsewhere')}", version=version)
    primary.kill()
    restored.configure(hba_file=os.path.join(restored.data, "pg_hba.conf"))
    restored.start()
    judge.wait_promoted(restored)
    ledger.check(restored)
    assert restored.value("select count(*) from spaced") == 2000
    assert restored.value("select count(*) from fleeting") == 0
    judge.verify_running(restored)
    restored.stop()


def test_a_change_in_the_second_of_a_backup_is_not_missed(place, box, primary):
    """Size and time of a file say nothing then."""
    primary.query("create table counted(n int)")
    primary.query("insert into counted values (0)")
    protect(box, primary, None)
    for n in range(1, 5):
        primary.query("update counted set n = %s", n)
        primary.query("checkpoint")
        backup = box.backup("main")
        assert box.backup_info("main", backup)["mode"] == "local-rsync-concurrent"
        path = primary.value("select pg_relation_filepath('counted')")
        with open(os.path.join(primary.data, path), "rb") as server, open(data(box, backup, path), "rb") as image:
            assert server.read() == image.read()
    restored = restored_right_after(box, backup, os.path.join(place, "restored"))
    assert restored.value("select n from counted") == 4
    restored.stop()


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_backup_that_was_cut_off_is_gone_on_with(place, primary, host, disk, kind):
    volume = disk(kind, 1024, kind)
    box = Box(os.path.join(volume.mount_point, "box"))
    primary.pgbench("-i", "-q", "-s", "10")
    protect(box, primary, host.command(), parallel_jobs="2")
    total = int(primary.value("select sum(pg_database_size(oid)) from pg_database"))
    cut_off = box.job("backup", "main", kill_point="job.backup.copied", check=False)
    assert cut_off.returncode == -9
    backup = box.backup("main")
    told = extra(box, backup)
    assert told["clone"] == "taken over" and told["bytes_received"] < total / 5
    verify(box, backup)
    # The same for one that began as the clone of a backup: that one's manifest says nothing of what was copied since.
    before = content(tree(box, backup))
    primary.query("update pgbench_branches set bbalance = 5")
    primary.query("checkpoint")
    cut_off = box.job("backup", "main", kill_point="job.backup.copied", check=False)
    assert cut_off.returncode == -9
    last = box.backup("main")
    assert extra(box, last)["clone"] == "taken over" and extra(box, last)["way"] == "incremental"
    verify(box, last)
    assert content(tree(box, backup)) == before
    restored = restored_right_after(box, last, os.path.join(volume.mount_point, "restored"))
    assert restored.value("select count(*) from pgbench_accounts") == 1000000
    assert restored.value("select min(bbalance) from pgbench_branches") == 5
    restored.stop()


def test_a_connection_that_breaks_is_made_again_and_goes_on(place, box, primary, host):
    primary.pgbench("-i", "-q", "-s", "10")
    count = os.path.join(place, "connections")
    # The second one, which is the first to bring files, ends after 40 MB; lists and all others are whole.
    ssh = shim(place, "ssh-that-breaks", f"""
echo x >>{shlex.quote(count)}
if [ "$(wc -l <{shlex.quote(count)})" = 2 ]; then exec ssh "$@" | stdbuf -o0 head -c 40000000; exit; fi
exec ssh "$@"
""")
    command = host.command().replace("ssh ", f"{ssh} ", 1)
    processes.write(count, "")
    os.chmod(count, 0o666)
    protect(box, primary, command, basebackup_retry_times="2", basebackup_retry_sleep="0")
    done = box.job("backup", "main")
    assert "going on behind" in done.stderr
    backup = box.backup_ids("main")[-1]
    verify(box, backup)
    # Without the key the first break is the end, and says what to do.
    processes.write(count, "x\n")
    os.chmod(count, 0o666)
    box.add_server("main", primary, backup_method="rsync", ssh_command=command, reuse_backup="off")
    processes.write(count, "")
    os.chmod(count, 0o666)
    failed = box.job("backup", "main", check=False)
    assert failed.returncode == 1 and "rsync ended with exit status" in failed.stderr and "ssh_command" in failed.stderr


def refusal(box):
    failed = box.job("backup", "main", check=False)
    assert failed.returncode != 0
    return failed.stderr


def test_what_is_wrong_with_the_way_there_is_told_with_its_remedy(place, box, primary, host):
    box.add_server("main", primary, backup_method="rsync")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    assert "backup_method = rsync needs ssh_command" in refusal(box)
    # Another key than the one that is known, though the configuration asks not to look at it.
    impostor = Sshd(os.path.join(place, "impostor"), port=None).start()
    with open(host.config, encoding="utf-8") as real:
        text = real.read().replace(f"Port {host.port}", f"Port {impostor.port}").replace(
            "StrictHostKeyChecking yes", "StrictHostKeyChecking no")
    with open(os.path.join(host.directory, "known_hosts"), encoding="utf-8") as known:
        line = known.read().replace(f"]:{host.port}", f"]:{impostor.port}")
    known = os.path.join(place, "known_of_impostor")
    processes.write(known, line)
    text = text.replace(os.path.join(host.directory, "known_hosts"), known)
    fooled = os.path.join(place, "fooled_config")
    processes.write(fooled, text)
    box.add_server("main", primary, backup_method="rsync",
                   ssh_command=f"ssh -o StrictHostKeyChecking=no -F {shlex.quote(fooled)} box")
    said = refusal(box)
    assert "compare the host's key with the one that it should have" in said
    # A shell that greets.
    noisy = shim(place, "noisy-ssh", 'echo "Welcome to this host, have a nice day and mind the gap."; exec ssh "$@"\n')
    box.add_server("main", primary, backup_method="rsync", ssh_command=host.command().replace("ssh ", f"{noisy} ", 1))
    assert "written at login" in refusal(box)
    assert all(box.backup_info("main", each)["status"] == "FAILED" for each in box.backup_ids("main"))


def test_barman_takes_the_backups_for_its_own(box, primary, host):
    protect(box, primary, host.command())
    backup = box.backup("main")
    box.wait_durable(primary)
    listed = json.loads(barman(box, "-f", "json", "list-backup", "main").stdout)["main"]
    assert [each["backup_id"] for each in listed] == [backup] and listed[0]["status"] == "DONE"
    shown = barman(box, "show-backup", "main", backup).stdout
    assert backup in shown and "DONE" in shown
    ours = box.json("list-backups", "main")["main"]
    assert ours[0]["backup_type"] == "rsync"


def test_damage_that_is_known_is_mended_by_the_next_backup(box, primary, host):
    primary.pgbench("-i", "-q", "-s", "2")
    protect(box, primary, host.command())
    first = box.backup("main")
    path = primary.value("select pg_relation_filepath('pgbench_accounts')")
    broken = data(box, first, path)
    status = os.stat(broken)
    with open(broken, "r+b") as file:
        file.seek(8192 * 5 + 4000)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(broken, ns=(status.st_atime_ns, status.st_mtime_ns))  # as bytes rot
    scrubbed = box.job("scrub", "main", "--all", check=False)
    assert extra(box, first)["damage"], scrubbed.stderr
    second = box.backup("main")
    assert extra(box, second)["base"] == first and "damage" not in extra(box, second)
    verify(box, second)
    assert stat.S_ISREG(os.stat(data(box, second, path)).st_mode)
