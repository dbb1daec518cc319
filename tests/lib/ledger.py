"""A load whose every acknowledged commit is remembered, to be looked for in what was restored.

Each client counts from 1 in its own rows, one row a transaction. When everything is gone, row N of a client must be there
for every N that its COMMIT returned for; one further row may be (the commit whose answer never arrived).
"""
import threading

import psycopg2

CREATE = "create table if not exists ledger(client int, n int, filler text, primary key (client, n))"


class Ledger:
    def __init__(self, postgres, clients=4):
        self.postgres = postgres
        self.acknowledged = {client: 0 for client in range(clients)}
        self._threads = []
        self._stopping = threading.Event()
        self._changed = threading.Condition()

    def create(self):
        self.postgres.query(CREATE)
        return self

    def start(self):
        """Clients that commit as fast as they can, until stop() or until their server is gone."""
        self._stopping.clear()
        self._threads = [threading.Thread(target=self._client, args=(client,), daemon=True) for client in self.acknowledged]
        for thread in self._threads:
            thread.start()
        return self

    def _client(self, client):
        try:
            connection = self.postgres.connect(autocommit=True)
            with connection.cursor() as cursor:
                while not self._stopping.is_set():
                    n = self.acknowledged[client] + 1
                    cursor.execute("insert into ledger values (%s, %s, repeat('x', 200)) on conflict do nothing", (client, n))
                    with self._changed:
                        self.acknowledged[client] = n
                        self._changed.notify_all()
        except psycopg2.Error:
            pass  # the server is gone: what was acknowledged is all that counts

    def total(self):
        return sum(self.acknowledged.values())

    def wait_total(self, total, seconds=30):
        with self._changed:
            assert self._changed.wait_for(lambda: self.total() >= total, seconds), \
                f"only {self.total()} of {total} commits within {seconds} s"

    def wait_more(self, more, seconds=30):
        self.wait_total(self.total() + more, seconds)

    def stop(self):
        self._stopping.set()
        self.join()

    def join(self, seconds=30):
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a client hangs"

    def check(self, restored):
        """Every acknowledged row is there, and nothing that was never sent. Returns how many rows there are."""
        rows = dict(restored.query("select client, max(n) from ledger group by client"))
        counts = dict(restored.query("select client, count(*) from ledger group by client"))
        for client, acknowledged in self.acknowledged.items():
            last, count = rows.get(client, 0), counts.get(client, 0)
            assert last >= acknowledged, f"client {client}: {acknowledged} acknowledged, restored up to {last}"
            assert last <= acknowledged + 1, f"client {client}: row {last} was never sent"
            assert last == count, f"client {client}: {count} rows up to {last}"
        return sum(counts.values())
