"""The system's log, as a program of a test sees it: a /dev/log of its own, in a mount namespace of its own."""
import os
import socket

from lib import processes


class SystemLog:
    def __init__(self, directory):
        self.directory = processes.make_directory(directory)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(directory, "log"))
        os.chmod(os.path.join(directory, "log"), 0o666)
        self.socket.settimeout(60)
        # argv to run a program behind. It has no other device.
        self.enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /dev && exec "$@"',
                      directory]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        os.unlink(os.path.join(self.directory, "log"))

    def next(self):
        return self.socket.recv(65536).decode()
