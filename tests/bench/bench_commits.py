"""Throughput of synchronous commits with the box as the only synchronous standby, against pg_receivewal --synchronous."""
import os
import re

import lab
from lib import pgroots, processes
from lib.box import Box

SECONDS = int(os.environ.get("COFFER_BENCH_SECONDS", "15"))
PEER = "pg_receivewal --synchronous"


def main():
    lab.warm_memory(2)
    # The server's own fsync is off: its disk is not what is compared, and it would hide the difference.
    postgres = lab.server("commits-server", synchronous_commit="on").start()
    postgres.pgbench("-i", "-q", "-s", 20)
    box = Box(lab.place("commits-box"))
    box.add_server("main", postgres, streaming_archiver_name="coffer")
    postgres.query("select pg_create_physical_replication_slot('peer', true)")
    peer_directory = lab.place("commits-peer")

    def measured(name):
        postgres.query(f"alter system set synchronous_standby_names = '{name}'")
        postgres.reload()
        box.wait_synchronous(postgres)
        out = postgres.pgbench("-n", "-c", 8, "-j", 2, "-T", SECONDS).stdout
        postgres.query("alter system set synchronous_standby_names = ''")
        postgres.reload()
        # Seconds a commit, so that the ratios read as everywhere.
        return lab.Figures(1 / float(re.search(r"tps = ([0-9.]+)", out).group(1)))

    def coffer():
        box.start("streamer", "archiver")
        figures = measured("coffer")
        box.streamer.stop()
        box.archiver.stop()
        return figures

    def peer():
        argv = pgroots.command(postgres.version, "pg_receivewal", "-D", peer_directory, "--synchronous", "-S", "peer",
                               "-d", postgres.conninfo(application_name="peer"))
        process = processes.start(argv, os.path.join(lab.PLACE, "commits-peer.log"))
        figures = measured("peer")
        processes.kill_tree(process)
        return figures

    results = lab.in_turn(lab.RUNS, ("coffer", coffer), (PEER, peer))
    rows = [[name, 1 / lab.median_of(figures), 1 / lab.ratio(results, name, PEER)] for name, figures in results.items()]
    lab.table("Synchronous commits, pgbench -c 8, one synchronous standby on the same file system",
              ["standby", "commits/s", "ratio"], rows)
    box.stop()
    postgres.stop()


try:
    main()
finally:
    lab.finish("commits-server", "commits-box", "commits-peer", "commits-peer.log")
