"""Comparing directories byte by byte."""
import hashlib
import os
import stat


def picture(top):
    """Of everything below top: relative path to kind, mode, owner, and content (or where a link leads)."""
    found = {}
    for folder, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            found[os.path.relpath(path, top)] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def require_equal(one, other, besides=()):
    """besides: relative paths that may differ."""
    first, second = picture(one), picture(other)
    different = sorted(p for p in first.keys() | second.keys() if first.get(p) != second.get(p) and p not in besides)
    assert not different, f"{one} and {other} differ: {[(p, first.get(p), second.get(p)) for p in different[:10]]}"
