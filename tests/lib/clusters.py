"""New clusters for tests. initdb takes seconds, and nearly every test wants a cluster: so it runs once for each version
and set of options, and every further cluster is a copy with a system identifier of its own."""
import glob
import os
import struct
import time

from lib import pgroots, processes


def initdb(version, data, options):
    """A new cluster in data, which does not exist yet."""
    if not os.path.isdir(processes.RUN):  # nobody would remove the templates
        pgroots.run(version, "initdb", *options, f"--pgdata={data}")
        return
    templates = processes.make_directory(os.path.join(processes.RUN, "templates"))
    template = os.path.join(templates, f"{version}{''.join(options)}".replace("/", "_"))
    if not os.path.isdir(template):
        pgroots.run(version, "initdb", *options, f"--pgdata={template}.new")
        os.rename(f"{template}.new", template)
    processes.run(["cp", "-a", "--reflink=auto", template, data])
    _set_system_identifier(data)


def _set_system_identifier(data):
    """As BootStrapXLOG composes it, into the two files of a new cluster that hold it."""
    now = time.time_ns()
    identifier = struct.pack("=Q", (now // 10**9) << 32 | (now // 1000 % 10**6) << 12 | os.getpid() & 0xFFF)
    with open(os.path.join(data, "global", "pg_control"), "r+b") as control:
        old = control.read()
        size = _size_before_crc(old)
        control.seek(0)
        control.write(identifier)
        control.seek(size)
        control.write(struct.pack("=I", next(crc for _, crc in _crcs(identifier + old[8:size], size))))
    # XLogLongPageHeaderData.xlp_sysid; page headers have no checksum. With segments of 1 MB, initdb fills several.
    for name in glob.glob(os.path.join(data, "pg_wal", "0" * 7 + "1" + "[0-9A-F]" * 16)):
        with open(name, "r+b") as segment:
            segment.seek(24)
            if segment.read(8) == old[:8]:  # not one kept for later
                segment.seek(24)
                segment.write(identifier)


def _size_before_crc(control):
    """ControlFileData ends with the CRC-32C of what is before it; how much that is depends on the version."""
    return next(size for size, crc in _crcs(control, 64) if struct.unpack_from("=I", control, size)[0] == crc)


def _crcs(data, first):
    """(size, CRC-32C of the first size bytes) for every multiple of four from first on."""
    crc = 0xFFFFFFFF
    for size, byte in enumerate(data, 1):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        if size >= first and size % 4 == 0:
            yield size, crc ^ 0xFFFFFFFF
