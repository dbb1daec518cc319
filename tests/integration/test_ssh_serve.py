"""A database host's key on the box: through a real sshd it does what it is meant for, and nothing else."""
import hashlib
import os
import subprocess

import pytest

from lib import parcels, processes
from lib.box import Box
from lib.postgres import Postgres
from lib.sshd import Sshd
from lib.syslog import SystemLog

SCRIPT = os.path.join(processes.TOP, "provisioning", "authorized-key")


class Lab:
    """A box with one archived segment and a backup, and hosts with keys of their own."""

    def __init__(self, directory):
        self.directory = processes.make_directory(directory)
        self.primary = Postgres(os.path.join(directory, "primary")).create(wal_keep_size="1GB").start()
        self.box = Box(os.path.join(directory, "box"))
        self.box.add_server("main", self.primary, archiver="on", compression="gzip")
        self.box.add_server("other", self.primary, archiver="on", streaming_archiver="off", slot_name=None,
                            create_slot=None)
        processes.make_directory(self.box.path("other"))
        self.box.start("streamer", "archiver")
        self.box.wait_streaming(self.primary)
        self.backup = self.box.backup("main")
        self.name, self.content = parcels.segment(self.primary)
        self.box.wait_archived("main", self.name)
        # As a box has it that took the place of a Barman.
        self.bin = processes.make_directory(os.path.join(directory, "bin"))
        os.symlink(os.path.join(processes.BIN, "cofferctl"), os.path.join(self.bin, "barman"))
        self.sshd = Sshd(os.path.join(directory, "sshd"))
        self.hosts, lines = {}, []
        for host, allow, more in (("put", "put", []), ("get", "get", []), ("restore", "restore", []),
                                  ("all", "put,get,restore", []), ("lenient", "put", ["--accept-conflict"])):
            self.hosts[host], key = self.sshd.client(host)
            lines.append(self.key_line(key, allow, *more))
        self.sshd.authorize(*lines)
        self.sshd.start(environment={"COFFER_LIBEXEC": processes.BIN})

    def key_line(self, key, allow, *options):
        argv = [SCRIPT, "--config", self.box.config, "--cofferctl", os.path.join(self.bin, "barman"), *options, "main", allow]
        done = subprocess.run(argv, input=key, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def ask(self, host, command, stdin=b""):
        """What the host's ssh is given as the command, word for word; the finished process with output as bytes."""
        argv = ["ssh", "-q", "-T", "-F", self.hosts[host], "box"] + ([command] if command is not None else [])
        return subprocess.run(processes.AS_USER + argv, input=stdin, capture_output=True, cwd="/", timeout=120, check=False,
                              env=processes.environment())


@pytest.fixture(scope="module")
def lab(base):
    made = Lab(os.path.join(base, "ssh-serve"))
    yield made
    made.sshd.stop()
    made.box.stop()
    made.primary.kill()


def test_a_host_puts_its_wal(lab):
    name, content = parcels.segment(lab.primary)
    for host in ("put", "all"):
        done = lab.ask(host, "barman put-wal main", parcels.parcel(name, content))
        assert done.returncode == 0, done.stderr
    lab.box.wait_archived("main", name)
    done = lab.ask("put", "barman --config='/etc/barman.conf' put-wal main --test")
    assert (done.returncode, done.stdout) == (0, b"Ready to accept WAL files for the server main\n")


def test_a_host_is_told_of_other_bytes_by_an_exit_status_of_its_own(lab):
    forged = bytearray(lab.content)
    history, other = b"1\t0/3000000\tno reason\n", b"1\t0/4000000\tno reason\n"
    assert lab.ask("put", "barman put-wal main", parcels.parcel("00000007.history", history)).returncode == 0
    done = lab.ask("put", "barman put-wal main", parcels.parcel("00000007.history", other))
    assert done.returncode == 4
    assert b"other bytes are held as 00000007.history" in done.stderr
    assert lab.ask("put", "cofferctl put-wal --accept-conflict main", parcels.parcel("00000007.history", other)).returncode == 0
    assert lab.ask("lenient", "barman put-wal main", parcels.parcel("00000007.history", other)).returncode == 0
    forged[100000] ^= 1
    assert lab.ask("put", "barman put-wal main", parcels.parcel(lab.name, bytes(forged))).returncode == 1


def test_a_host_gets_wal(lab):
    digest = hashlib.sha256(lab.content).hexdigest()
    for host in ("get", "restore", "all"):
        done = lab.ask(host, f"barman get-wal --partial 'main' '{lab.name}'")
        assert done.returncode == 0, done.stderr
        assert hashlib.sha256(done.stdout).hexdigest() == digest
    packed = lab.ask("get", f"/usr/bin/cofferctl get-wal --keep-compression main {lab.name}")
    assert packed.stdout[:2] == b"\x1f\x8b" and len(packed.stdout) < len(lab.content)
    peeked = lab.ask("get", f"barman get-wal --peek '1' 'main' '{lab.name}'")
    assert peeked.stdout.decode().split() == [lab.name]
    assert lab.ask("get", "barman get-wal --test main dummy_wal_name").returncode == 0
    # PostgreSQL takes this for the end of the archive, and nothing else.
    assert lab.ask("get", "barman get-wal main 0000000100000000000000FF").returncode == 1


def test_a_host_that_restores_sees_the_backups_of_its_server(lab):
    done = lab.ask("restore", "barman -f json list-backups main")
    assert done.returncode == 0, done.stderr
    assert lab.backup in done.stdout.decode()
    assert lab.backup in lab.ask("restore", "cofferctl show-backup main latest").stdout.decode()


@pytest.fixture(scope="module")
def quiet(lab):
    """From here on no service changes what is on the box."""
    lab.box.streamer.stop()
    lab.box.archiver.stop()
    return lab


def everything(directory):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names)


@pytest.mark.parametrize("host, command", [
    ("put", None),
    ("put", "id"),
    ("put", "barman get-wal main 000000010000000000000001"),
    ("put", "barman put-wal other"),
    ("put", "barman list-backups main"),
    ("put", "barman put-wal main; id"),
    ("put", "barman put-wal main $(id)"),
    ("put", "rsync --server --sender -logDtpre.iLsfxC . /"),
    ("put", "scp -f /etc/passwd"),
    ("get", "barman put-wal main"),
    ("get", "barman get-wal -o /var/tmp main 000000010000000000000001"),
    ("get", "barman get-wal --to /var/tmp/stolen main 000000010000000000000001"),
    ("get", "barman get-wal other 000000010000000000000001"),
    ("get", "barman get-wal main ../../../../etc/passwd"),
    ("get", "barman delete main oldest"),
    ("get", "barman show-backup main latest"),
    ("restore", "barman show-backup other latest"),
    ("restore", "barman restore main latest /var/tmp/there"),
    ("all", "barman list-backups all"),
    ("all", "barman ssh-serve main --allow put"),
    ("all", "sh"),
])
def test_all_else_is_refused(quiet, host, command):
    before = everything(quiet.box.home)
    done = quiet.ask(host, command)
    assert done.returncode == 126
    assert done.stdout == b""
    assert b"ERROR: " in done.stderr
    assert b"uid=" not in done.stderr
    assert everything(quiet.box.home) == before


def test_a_key_opens_no_other_way(lab):
    """restrict: no terminal, no forwarding; and the forced command stands before the subsystems."""
    forward = ["ssh", "-q", "-N", "-F", lab.hosts["all"], "-o", "ExitOnForwardFailure=yes", "-R", f"{lab.sshd.port + 1}:127.0.0.1:1",
               "box"]
    done = subprocess.run(processes.AS_USER + forward, capture_output=True, cwd="/", timeout=120, check=False,
                          env=processes.environment())
    assert done.returncode == 255
    sftp = ["sftp", "-q", "-b", "-", "-F", lab.hosts["all"], "box"]
    done = subprocess.run(processes.AS_USER + sftp, input=b"ls\n", capture_output=True, cwd="/", timeout=120, check=False,
                          env=processes.environment())
    assert done.returncode != 0
    assert done.stdout == b""


def test_the_line_for_a_key_is_refused_where_it_could_mean_more(lab, tmp_path):
    key = lab.sshd.public_key("id_put")
    line = lab.key_line(key, "put,get", "--from", "10.0.0.0/8,!10.1.0.0/16")
    assert line.startswith('restrict,from="10.0.0.0/8,!10.1.0.0/16",command="') and line.endswith(key)
    assert "ssh-serve main --allow put,get\"" in line
    for arguments, given in ((["main", "put,shell"], key), (["main", ""], key), (["ma;in", "put"], key), (["-x", "put"], key),
                             (['ma"in', "put"], key), (["--from", 'x"', "main", "put"], key), (["main", "put"], "no key"),
                             (["main", "put"], f'command="id" {key}'), (["main", "put"], f"{key}\n{key}"),
                             (["main", "put"], ""), (["main"], key)):
        done = subprocess.run([SCRIPT, *arguments], input=given, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode != 0, arguments
        assert done.stdout == "", arguments


def test_a_refusal_is_logged_for_the_operator(lab):
    """To syslog: standard error is the client's."""
    asked = os.path.join(processes.BIN, "cofferctl"), "--config", lab.box.config, "ssh-serve", "main", "--allow", "put"
    env = lab.box.environment(SSH_ORIGINAL_COMMAND="barman delete main oldest \x1b[2J", SSH_CONNECTION="192.0.2.7 50000 192.0.2.1 22")
    with SystemLog(os.path.join(lab.directory, "dev")) as log:
        done = processes.run(log.enter + processes.AS_USER + list(asked), check=False, env=env)
        told = log.next()
    assert done.returncode == 126
    assert "coffer-ssh-serve" in told
    assert "server main: refused to 192.0.2.7: " in told
    assert "barman delete main oldest" in told
    assert "\x1b" not in told + done.stderr
