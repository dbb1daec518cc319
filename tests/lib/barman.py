"""Debian's barman, on the catalogue of a box."""
import os

from lib import processes


def barman(box, *arguments, **more):
    """Barman on the same configuration: its [barman] section instead of [coffer], its user instead of ours."""
    with open(box.config, encoding="utf-8") as ours:
        text = ours.read().replace("[coffer]", "[barman]").replace("coffer_home", "barman_home")
    config = os.path.join(box.etc, "barman.conf")
    processes.write(config, text + f"barman_user = {processes.USER}\nlog_file = {box.directory}/barman.log\n")
    return processes.run_as_user(["/usr/bin/barman", "-c", config, *arguments],
                                 env=processes.environment(HOME=box.directory), **more)
