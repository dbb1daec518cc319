"""Waiting for events with a deadline, never for an amount of time.

until() is for conditions that nobody announces: it asks again after short pauses, and at once stops when one of the
processes that should bring the condition about has ended. file_event() is for files: it wakes when the kernel says so.
"""
import ctypes
import os
import select
import time

_libc = ctypes.CDLL(None, use_errno=True)
IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_MOVED_FROM = 0x8, 0x80, 0x100, 0x200, 0x40


class Expired(AssertionError):
    """What was waited for did not happen in time."""


def until(condition, what, seconds=30.0, processes=()):
    """The first true value of condition(). processes: Popen objects whose end makes waiting pointless."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    descriptors = [os.pidfd_open(p.pid) for p in processes if p.poll() is None]
    try:
        while True:
            value = condition()
            if value:
                return value
            dead = [p for p in processes if p.poll() is not None]
            if dead:
                raise Expired(f"{what}: {dead[0].args[-3:]} ended with {dead[0].returncode}")
            if time.monotonic() > deadline:
                raise Expired(f"{what}: not within {seconds} s")
            select.select(descriptors, [], [], pause)
            pause = min(pause * 1.5, 0.1)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def file_event(directory, condition, what, seconds=30.0):
    """until(), woken by changes in one directory (which must exist) instead of by pauses."""
    notifier = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if notifier < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM
        if _libc.inotify_add_watch(notifier, os.fsencode(directory), mask) < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch {directory}")
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                raise Expired(f"{what}: not within {seconds} s")
            if select.select([notifier], [], [], left)[0]:
                os.read(notifier, 65536)
    finally:
        os.close(notifier)
