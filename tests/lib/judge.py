"""PostgreSQL's own tools as judges of a restored cluster."""
import os

from lib import pgroots


def verify_files(restored, with_wal=True):
    """Before the first start: every file is what the server's manifest says, and the WAL it needs is there."""
    options = [] if with_wal else ["--no-parse-wal"]
    pgroots.run(restored.version, "pg_verifybackup", "--exit-on-error", *options, restored.data)


def verify_running(restored):
    """Heap and indexes of a promoted cluster agree."""
    pgroots.run(restored.version, "pg_amcheck", "-h", "127.0.0.1", "-p", restored.port, "-U", "postgres", "--all",
                "--install-missing", "--heapallindexed")


def verify_stopped(restored):
    """Every page's checksum."""
    pgroots.run(restored.version, "pg_checksums", "--check", "-D", restored.data)


def wait_promoted(restored, seconds=60):
    """Until recovery is over."""
    restored.wait_for("select not pg_is_in_recovery()", "the restored server is promoted", seconds)


def commit_lsn(postgres, xid):
    """Where the commit record of a transaction begins, by the server's own pg_waldump."""
    wal = os.path.join(postgres.data, "pg_wal")
    segments = sorted(n for n in os.listdir(wal) if len(n) == 24)
    segments = [n for n in segments if n[:8] == segments[-1][:8]]  # the present timeline's
    done = pgroots.run(postgres.version, "pg_waldump", "--path", wal, "--xid", xid, "--rmgr", "Transaction",
                       segments[0], segments[-1], check=False)
    for line in done.stdout.splitlines():
        if "COMMIT" in line:
            return line.split("lsn: ")[1].split(",")[0]
    raise AssertionError(f"no commit of {xid}: {done.stdout}{done.stderr}")
