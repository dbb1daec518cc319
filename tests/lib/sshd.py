"""Another host, as far as ssh can tell: an sshd of a test's own on loopback, with keys and a client configuration of its own.

It runs as the tests' user, who is the only one to log in, or as root (as_root=True) where a test needs other users. Nothing
of the machine's own ssh is read or written. Host keys are always checked: the client configuration knows this host's only.
"""
import os
import pwd
import shlex
import socket

from lib import processes, waiting
from lib.postgres import free_port


class Sshd:
    def __init__(self, directory, address="127.0.0.1", port=None, as_root=False, enter=()):
        """enter: an argv to run sshd behind, such as ["ip", "netns", "exec", NAME]."""
        self.directory = processes.make_directory(directory)
        self.address = address
        self.port = port or free_port()
        self.as_root = as_root
        self.enter = list(enter)
        self.user = pwd.getpwuid(processes.UID).pw_name
        self.log = os.path.join(directory, "sshd.log")
        self.authorized_keys = os.path.join(directory, "authorized_keys")
        self.process = None
        self._make_key("host_key")
        self.key = self._make_key("id_client")
        self.authorize(self.public_key())
        with open(f"{self._path('host_key')}.pub", encoding="ascii") as public:
            known = " ".join(public.read().split()[:2])
        processes.write(self._path("known_hosts"), f"[{address}]:{self.port} {known}\n")
        self.config = self._path("ssh_config")
        processes.write(self.config, self._client_config("box", self.key))

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _make_key(self, name):
        processes.run_as_user(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self._path(name)])
        return self._path(name)

    def _client_config(self, name, key):
        return (f"Host {name}\n HostName {self.address}\n Port {self.port}\n User {self.user}\n IdentityFile {key}\n"
                f" IdentitiesOnly yes\n UserKnownHostsFile {self._path('known_hosts')}\n StrictHostKeyChecking yes\n"
                " BatchMode yes\n LogLevel ERROR\n GlobalKnownHostsFile /dev/null\n")

    # -- keys

    def public_key(self, name="id_client"):
        with open(f"{self._path(name)}.pub", encoding="ascii") as public:
            return public.read().strip()

    def authorize(self, *lines):
        """The whole of authorized_keys, as provisioning would write it."""
        processes.write(self.authorized_keys, "".join(f"{line}\n" for line in lines))

    def client(self, name):
        """A further client with a key of its own: its configuration file and its public key, not yet authorized."""
        key = self._make_key(f"id_{name}")
        config = self._path(f"ssh_config_{name}")
        processes.write(config, self._client_config("box", key))
        return config, self.public_key(f"id_{name}")

    # -- the server

    def start(self, environment=None):
        options = {"ListenAddress": self.address, "Port": self.port, "HostKey": self._path("host_key"),
                   "AuthorizedKeysFile": self.authorized_keys, "PidFile": "none",
                   "UsePAM": "yes" if self.as_root else "no", "StrictModes": "no",
                   "PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no", "MaxStartups": "100",
                   "PermitRootLogin": "prohibit-password", "Subsystem": "sftp internal-sftp", "LogLevel": "VERBOSE"}
        if environment:
            options["SetEnv"] = " ".join(f'{k}="{v}"' for k, v in environment.items())
        config = self._path("sshd_config")
        processes.write(config, "".join(f"{k} {v}\n" for k, v in options.items()))
        if self.as_root:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        # start_new_session: a stop of the whole test ends what it serves too.
        argv = self.enter + ([] if self.as_root else processes.AS_USER) + ["/usr/sbin/sshd", "-D", "-e", "-f", config]
        self.process = processes.start(argv, self.log)
        if not self.enter:
            waiting.until(self._answers, "sshd answers", seconds=30)
        return self

    def _answers(self):
        assert self.process.poll() is None, self.log_tail()
        try:
            with socket.create_connection((self.address, self.port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop(self):
        """The host goes down: the server and every session."""
        if self.process is not None:
            processes.kill_tree(self.process)

    def log_tail(self, lines=30):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    # -- what clients say

    def command(self, *more, config=None):
        """The words of an ssh command that reaches this host (as "box"), as a setting or a shell would have them."""
        return shlex.join(["ssh", "-F", config or self.config, "box", *more])

    def run(self, *argv, config=None, **more):
        """A command on this host, by ssh, as the tests' user."""
        return processes.run_as_user(["ssh", "-F", config or self.config, "box", shlex.join(map(str, argv))], **more)
