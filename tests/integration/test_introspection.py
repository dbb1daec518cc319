"""What each service shows on the bus is what the checked-in interface files say, and docs/bus.md describes all of it.
tools/bus-reference brings both up to date."""
import os

import pytest

from lib import processes

INTERFACES = os.path.join(processes.TOP, "units", "dbus", "interfaces")


@pytest.mark.parametrize("service", ["streamer", "archiver", "scheduler"])
def test_a_service_shows_what_is_checked_in(service):
    shown = processes.run([os.path.join(processes.BIN, f"coffer-{service}"), "--bus-introspect"]).stdout
    with open(os.path.join(INTERFACES, f"org.pgcoffer.{service.capitalize()}1.xml"), encoding="utf-8") as text:
        assert shown == text.read(), "run tools/bus-reference"


def test_the_reference_describes_every_member():
    program = os.path.join(processes.TOP, "tools", "bus-reference")
    done = processes.run([program, "--check", os.path.join(processes.TOP, "docs", "bus.md")], check=False)
    assert done.stdout.strip() == ""
    assert done.returncode == 0, done.stderr
