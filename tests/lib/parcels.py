"""What a sender of WAL sends to put-wal: a tar with one file and its checksum, right or wrong."""
import hashlib
import io
import os
import subprocess
import tarfile

from lib import processes


def tar(members):
    """A stream of (name, bytes) or TarInfo."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            info.mtime = 1700000000
            archive.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def sums(name, content, algorithm="sha256"):
    digest = hashlib.new(algorithm, content).hexdigest()
    return f"{algorithm.upper()}SUMS", f"{digest} *{name}\n".encode()


def parcel(name, content, algorithm="sha256"):
    return tar([(name, content), sums(name, content, algorithm)])


def put(box, stream, *options, server="main", as_root=False, enter=(), **env):
    """The finished process of put-wal on the box itself; its output is bytes. enter: an argv to run it behind."""
    argv = [os.path.join(processes.BIN, "cofferctl"), "--config", box.config, "put-wal", *options, server]
    return subprocess.run(list(enter) + ([] if as_root else processes.AS_USER) + argv, input=stream, capture_output=True, cwd="/",
                          env=box.environment(**env), timeout=120, check=False)


def segment(postgres):
    """Name and bytes of a segment that the server has just finished, with records in its first 250 KB at least."""
    postgres.query("select pg_logical_emit_message(true, 'test', repeat('something', 30000))")
    name = postgres.switch_wal()
    with open(os.path.join(postgres.data, "pg_wal", name), "rb") as file:
        return name, file.read()
