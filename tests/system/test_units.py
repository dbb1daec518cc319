"""README's "Deploying" on a running system, and the units that it leads to: they start, own their names, obey the policy
of the bus, and come back.

The container is booted once, without Coffer. A script in it runs all commands below, one after the other, beginning with
those of README, and shuts it down; each test looks at what its commands said.
"""
import os
import re
import shutil
import subprocess

import pytest

from lib import processes, readme

SERVICES = ("streamer", "archiver", "scheduler")
LIST = "org.pgcoffer.{0}1 /org/pgcoffer/{0}1 org.pgcoffer.{0}1.Manager"
SCHEDULER = LIST.format("Scheduler")
PEOPLE = {"nobody": "setpriv --reuid=65534 --regid=65534 --clear-groups",
          "viewer": "setpriv --reuid=65534 --regid=coffer --clear-groups",
          "operator": "setpriv --reuid=dba --regid=dba --init-groups"}


def until(condition):
    return f"timeout 30 sh -c 'until {condition}; do sleep 0.1; done'"


def shell(commands):
    return "set -ex\n" + "\n".join(commands)


_, ACCOUNTS, START = readme.command_blocks("Deploying")[:3]

# Name of a command's result, and the command; run in this order.
COMMANDS = {
    "install": "cp -r /results/installed/. /",
    "accounts": shell(ACCOUNTS),
    "configure": "cp -r /results/config/. / && useradd --system --user-group --groups coffer-admin dba",
    "start": shell(START),
    "enabled": "systemctl is-enabled coffer.target coffer-streamer coffer-archiver coffer-scheduler",
    **{f"active {s}": f"systemctl is-active coffer-{s}" for s in SERVICES},
    **{f"owner {s}": "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetConnectionUnixUser "
                     f"s org.pgcoffer.{s.capitalize()}1" for s in SERVICES},
    "coffer uid": "id -u coffer",
    "status": "systemctl status --no-pager coffer-scheduler",
    "slices": "systemctl show -P Slice coffer-streamer coffer-archiver coffer-scheduler",
    "steal the name": PEOPLE["nobody"] + " /usr/libexec/coffer/coffer-scheduler "
                      "--runtime-dir /tmp/nobody --config /dev/null",
    "nobody looks": f"{PEOPLE['nobody']} busctl call {SCHEDULER} ListJobs t 0",
    "viewer looks": f"{PEOPLE['viewer']} busctl call {SCHEDULER} ListJobs t 0",
    "viewer acts": f"{PEOPLE['viewer']} busctl call {SCHEDULER} CancelJob tt 99 0",
    "operator acts": f"{PEOPLE['operator']} busctl call {SCHEDULER} CancelJob tt 99 0",
    "log level": "systemctl service-log-level coffer-scheduler debug && systemctl service-log-level coffer-scheduler",
    "reload": "systemctl reload coffer-scheduler && systemctl is-active coffer-scheduler",
    "backup": f"busctl call {SCHEDULER} Enqueue 'ssa{{sv}}' main backup 0",
    "backup ended": until("busctl get-property org.pgcoffer.Scheduler1 /org/pgcoffer/Scheduler1/job/_1 org.pgcoffer.Job1 "
                          "State | grep -q finished"),
    "backup error": "busctl get-property org.pgcoffer.Scheduler1 /org/pgcoffer/Scheduler1/job/_1 org.pgcoffer.Job1 "
                    "ErrorMessage",
    "timer": "systemctl is-enabled coffer-scrub.timer && systemctl is-active coffer-scrub.timer && "
             "systemctl show -P Persistent coffer-scrub.timer",
    "scrub": "systemctl start coffer-scrub.service",
    "scrub job": f"busctl call {SCHEDULER} ListJobs t 1",
    "crash": "before=$(systemctl show -P MainPID coffer-scheduler); systemctl kill -s KILL coffer-scheduler; "
             + until('test "$(systemctl show -P NRestarts coffer-scheduler)" = 1 && '
                     'systemctl is-active --quiet coffer-scheduler')
             + '; test "$before" != "$(systemctl show -P MainPID coffer-scheduler)"',
    **{f"activation {s}": f"systemctl stop coffer-{s} && busctl get-property {LIST.format(s.capitalize())} Version && "
                          f"systemctl is-active coffer-{s}" for s in SERVICES},
    "failed units": "systemctl list-units --failed --plain --no-legend 'coffer*'",
    "journal": "journalctl --no-pager -b -u 'coffer*'",
    "stop": "systemctl stop coffer.target; systemctl is-active 'coffer-*.service'",
}

_UNIT = """[Unit]
Description=Runs the commands of the test
After=multi-user.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh /results/script
StandardOutput=null
TimeoutStartSec=180
ExecStopPost=/bin/systemctl --no-block --force poweroff
"""

_START = """[Unit]
Description=Starts the test when all else has started
[Timer]
OnBootSec=0
[Install]
WantedBy=multi-user.target
"""


def prepare(root, installed):
    results = os.path.join(root, "results")
    os.mkdir(results)
    lines = [f"( {command}\n) > /results/{number}.out 2>&1; echo $? > /results/{number}.status"
             for number, command in enumerate(COMMANDS.values())]
    processes.write(os.path.join(results, "script"), "\n".join(lines) + "\n")
    processes.write(os.path.join(root, "etc/systemd/system/test.service"), _UNIT)
    processes.write(os.path.join(root, "etc/systemd/system/test.timer"), _START)
    shutil.copytree(installed, os.path.join(results, "installed"))
    configuration = readme.files("Deploying")
    assert sorted(configuration) == ["/etc/coffer/coffer.conf", "/etc/coffer/coffer.d/shop.conf", "/var/lib/coffer/.pgpass"]
    configuration["/etc/coffer/coffer.d/main.conf"] = \
        "[main]\nconninfo = host=127.0.0.1 port=1\nbackup_method = postgres\nstreaming_archiver = on\n"
    for path, text in configuration.items():
        place = os.path.join(results, "config", path.lstrip("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)
    processes.run(["systemctl", f"--root={root}", "enable", "test.timer"])


def result(root, number):
    try:
        with open(os.path.join(root, "results", f"{number}.out"), encoding="utf-8", errors="replace") as out, \
                open(os.path.join(root, "results", f"{number}.status"), encoding="ascii") as status:
            return int(status.read()), out.read()
    except (FileNotFoundError, ValueError):
        return None, ""


@pytest.fixture(scope="module")
def said(root, installed):
    """{name of a command: (exit status, output)}"""
    prepare(root, installed)
    try:
        boot = subprocess.run(["systemd-nspawn", "--quiet", f"--directory={root}", "--register=no", "--keep-unit", "--boot",
                               "--private-network", "--console=pipe"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, errors="replace")
        console = boot.stdout + boot.stderr
    except subprocess.TimeoutExpired as expired:
        console = str(expired.stdout) + str(expired.stderr)
    said = {name: result(root, number) for number, name in enumerate(COMMANDS)}
    if all(status is None for status, _ in said.values()):
        if re.search("Operation not permitted|Failed to (mount|allocate|clone)", console):
            pytest.skip("systemd-nspawn cannot boot here: " + console.strip().splitlines()[-1])
        pytest.fail("the container ran nothing:\n" + console[-4000:])
    return said


def explain(said, name):
    return f"{name}: {said[name]}\n{said['journal'][1][-6000:]}"


@pytest.mark.parametrize("step", ["install", "accounts", "configure", "start"])
def test_deploying_as_readme_says_succeeds(said, step):
    assert said[step][0] == 0, explain(said, step)


def test_enabling_the_target_enables_the_services(said):
    assert said["enabled"] == (0, "enabled\n" * 4)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_and_owns_its_name_as_user_coffer(said, service):
    assert said[f"active {service}"] == (0, "active\n"), explain(said, f"active {service}")
    assert said[f"owner {service}"] == (0, f"u {said['coffer uid'][1].strip()}\n")


def test_status_says_what_it_does(said):
    assert 'Status: "No job is running."' in said["status"][1], explain(said, "status")


def test_receiving_goes_before_jobs(said):
    assert said["slices"][1].split() == ["coffer-intake.slice", "coffer-intake.slice", "coffer-jobs.slice"]


def test_nobody_else_may_own_the_name(said):
    status, output = said["steal the name"]
    assert status == 1
    assert "refused by the policy" in output


def test_the_policy_decides_who_looks_and_the_service_who_acts(said):
    assert said["nobody looks"][0] != 0 and "Access denied" in said["nobody looks"][1]
    assert said["viewer looks"] == (0, "a(tssos) 0\n"), explain(said, "viewer looks")
    assert "may not call CancelJob" in said["viewer acts"][1]
    assert "no such job" in said["operator acts"][1], explain(said, "operator acts")


def test_log_level_and_reload_work_through_systemctl(said):
    assert said["log level"] == (0, "debug\n")
    assert said["reload"] == (0, "active\n")


def test_a_backup_job_runs_inside_the_sandbox(said):
    """There is no server: the job must come as far as finding that out."""
    assert said["backup"][0] == 0, explain(said, "backup")
    assert said["backup ended"][0] == 0
    assert re.search("onnect|unreachable|refused", said["backup error"][1]), explain(said, "backup error")


def test_every_day_the_scheduler_is_asked_to_scrub(said):
    assert said["timer"] == (0, "enabled\nactive\nyes\n"), explain(said, "timer")
    assert said["scrub"][0] == 0, explain(said, "scrub")
    assert '"scrub" "main"' in said["scrub job"][1] and '"scrub" "shop"' in said["scrub job"][1], explain(said, "scrub job")


def test_it_comes_back_after_a_crash(said):
    assert said["crash"][0] == 0, explain(said, "crash")


@pytest.mark.parametrize("service", SERVICES)
def test_a_stopped_service_starts_when_it_is_called(said, service):
    status, output = said[f"activation {service}"]
    assert status == 0 and output.endswith('"\nactive\n'), explain(said, f"activation {service}")


def test_nothing_of_coffer_failed(said):
    assert said["failed units"] == (0, "")


def test_the_target_stops_all(said):
    assert "active\n" not in said["stop"][1].replace("inactive\n", ""), explain(said, "stop")


@pytest.mark.parametrize("service, most", [("streamer", 12), ("archiver", 5), ("scheduler", 12), ("scrub", 5)])
def test_the_sandbox_stays_tight(service, most):
    """systemd's exposure score, in tenths."""
    unit = os.path.join(processes.TOP, "units", "system", f"coffer-{service}.service")
    processes.run(["systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager", unit])
