"""A network that can be cut: a TCP relay on loopback between a box and a server."""
import selectors
import socket
import threading


class Proxy:
    """Relays to 127.0.0.1:target. cut(): bytes in both directions vanish silently, as when a cable is pulled, and new
    connections are accepted by nobody; sever(): connections are reset; mend(): new connections work again."""

    def __init__(self, target):
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers = {}
        self._is_cut = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self):
        with self._lock:
            self._is_cut = True

    def sever(self):
        """Every connection ends at once; new ones are refused until mend()."""
        with self._lock:
            self._is_cut = True
            for side in list(self._peers):
                self._close(side)

    def mend(self):
        with self._lock:
            for side in list(self._peers):
                self._close(side)
            self._is_cut = False

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._relay(key.fileobj)

    def _accept(self):
        client, _ = self._listener.accept()
        if self._is_cut:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        for side, peer in ((client, server), (server, client)):
            self._peers[side] = peer
            self._selector.register(side, selectors.EVENT_READ)

    def _relay(self, side):
        try:
            data = side.recv(1 << 16)
            if data and not self._is_cut:
                self._peers[side].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._close(side)

    def _close(self, side):
        peer = self._peers.pop(side, None)
        if peer is None:
            return
        self._peers.pop(peer, None)
        for each in (side, peer):
            self._selector.unregister(each)
            each.close()
