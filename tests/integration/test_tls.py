"""Streaming through TLS: what OpenSSL has decrypted already is not left lying until the server says something more."""
import os
import random
import subprocess
import time

import pytest

from lib import processes


@pytest.fixture
def encrypted(primary):
    """The server, speaking TLS."""
    key, certificate = (os.path.join(primary.data, name) for name in ("server.key", "server.crt"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    for path in (key, certificate):
        os.chmod(path, 0o600)
        os.chown(path, processes.UID, processes.GID)
    primary.configure(ssl="on")
    primary.stop("fast")
    return primary.start()


def test_no_commit_waits_for_bytes_that_are_here_already(box, encrypted):
    box.add_server("main", encrypted, streaming_conninfo=encrypted.conninfo(dbname="replication", sslmode="require"))
    box.start("streamer")
    box.wait_streaming(encrypted)
    encrypted.query("create table t (n int, filler text)")
    encrypted.configure(synchronous_standby_names="*")
    encrypted.reload()
    box.wait_synchronous(encrypted)
    assert encrypted.value("select bool_and(ssl) from pg_stat_ssl join pg_stat_replication using (pid)")
    sizes = random.Random(1)
    connection = encrypted.connect()
    slowest = 0
    with connection.cursor() as cursor:
        for n in range(300):
            began = time.monotonic()
            cursor.execute("insert into t select %s, string_agg(md5(random()::text), '') from generate_series(1, %s)",
                           (n, sizes.randrange(1, 1500)))
            slowest = max(slowest, time.monotonic() - began)
    connection.close()
    assert slowest < 2, f"a commit took {slowest:.1f} s"
