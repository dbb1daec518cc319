"""How a job gets on, for people: a bar that is drawn over itself on a terminal, plain lines anywhere else."""
import os
import pty
import re
import subprocess

import pytest

from lib import processes


@pytest.fixture
def protected(primary, box):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.backup("main")
    return primary


def on_a_terminal(argv, env, output_too=False):
    """What the program writes to a standard error that is a terminal, and to its standard output when that is one too."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(processes.AS_USER + argv, stdin=subprocess.DEVNULL, stderr=theirs, env=env, cwd="/",
                          stdout=theirs if output_too else subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how the other end of a terminal closes
            pass
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


@pytest.mark.parametrize("program, words", [("coffer-job", ["backup", "main"]),
                                            ("cofferctl", ["restore", "main", "latest", "{place}/{kind}/data"])],
                         ids=["backup", "restore"])
def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines(place, box, protected, program, words):
    def argv(kind):
        processes.make_directory(os.path.join(place, kind))
        more = [word.format(place=place, kind=kind) for word in words]
        config = ["--config", box.config]
        return [os.path.join(processes.BIN, program), *(more + config if program == "coffer-job" else config + more)]

    shown = on_a_terminal(argv("terminal"), box.environment())
    assert re.search(r"\r\x1b\[Kcopying [^\r\n]*\[#{28,30}\.{0,2}\] +[0-9]+ % of [0-9.]+ MiB", shown), shown
    told = processes.run_as_user(argv("pipe"), env=box.environment()).stderr
    assert "INFO: copying" in told
    assert not re.search(r"[\r\x1b#]", told)


def test_the_bar_does_not_run_into_what_a_restore_tells(place, box, protected):
    argv = [os.path.join(processes.BIN, "cofferctl"), "--config", box.config, "restore", "main", "latest",
            os.path.join(place, "restored")]
    shown = on_a_terminal(argv, box.environment(), output_too=True)
    assert re.search(r"\nRestore of server main\r\n", shown), shown
    assert re.search(r"\nRestored in [0-9.]+ s: ", shown), shown
