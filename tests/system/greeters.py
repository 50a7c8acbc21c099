"""Servers that speak first, fail in many ways and come back; and clients that only listen, so that not a byte
of theirs ties them to a server."""

import collections
import contextlib
import select
import socket
import struct
import threading
import time

import clients
import harness

RESET = struct.pack("ii", 1, 0)


class Greeter:
    """Says its name to whoever connects, and holds the connection until the client has ended."""

    def __init__(self, name, delay=0, resets=False):
        self.name = name
        self.delay = delay
        self.resets = resets
        self.paused = False
        self.open = set()
        self.most = self.accepted = 0
        self.listener = self.acceptor = None
        self.port = harness.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.begin()

    def begin(self):
        """Listens, or listens again."""
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.acceptor = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.acceptor.start()

    def accept(self, listener):
        while self.listener is listener:
            if self.paused or not select.select([listener], [], [], 0.02)[0]:
                time.sleep(0.005)
                continue
            try:
                connection, _ = listener.accept()
            except OSError:
                break
            self.accepted += 1
            if self.resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.close()
            else:
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
        listener.close()

    def serve(self, connection):
        self.open.add(connection)
        self.most = max(self.most, len(self.open))
        with contextlib.suppress(OSError):
            time.sleep(self.delay)
            connection.sendall(self.name.encode())
            connection.recv(1)
        self.open.discard(connection)
        connection.close()

    def end(self):
        """Listens no more. The kernel resets the connections that were not accepted."""
        self.listener = None
        self.acceptor.join()

    def close(self):
        self.listener = None
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Hung:
    """Listens, with a backlog that is full: the kernel drops what would open a connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", harness.free_port()), backlog=0)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.others = []
        for _ in range(4):
            other = socket.socket()
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(self.listener.getsockname())
            self.others.append(other)

    def close(self):
        for each in (self.listener, *self.others):
            each.close()


def greeting(port, before=b""):
    """What a client hears first."""
    with clients.connect(port, before=before) as connection:
        heard = connection.recv(100).decode()
        if not heard:
            raise ConnectionError("the stream ended before a greeting")
        return heard


class Listeners(clients.Load):
    """Clients that connect, hear a greeting and leave."""

    PAUSE = 0.01

    def __init__(self, port, threads=4):
        self.port = port
        self.heard = collections.Counter()
        super().__init__(threads)

    def once(self, number):
        return greeting(self.port)

    def note(self, result):
        self.heard[result] += 1

    def total(self):
        return sum(self.heard.values())

    def wait_for_more(self, count=40, name=None):
        """Waits for this many more greetings (of this server)."""
        now = (lambda: self.heard[name]) if name else self.total
        wanted = now() + count
        harness.wait_until(lambda: now() >= wanted, lambda: f"{count} more greetings, after {self.heard}")

    close = clients.Load.stop


def pool(*servers, options=""):
    """What proxy_config() takes as the backend, and as its options, for these servers: addresses, or pairs of
    an address and what else stands in the section."""
    rows = []
    for server in servers:
        address, more = server if isinstance(server, tuple) else (server, "")
        rows.append(f'server {{ address = "{address}" {more} }}')
    return options + "\n    " + "\n    ".join(rows)


class PoolTest(harness.SystemTest):
    """Tests of one proxy with one backend of several servers."""

    def start(self, certificates, *servers, options="", **more):
        port, admin_port = harness.free_port(), harness.free_port()
        self.servers, self.options = servers, options
        self.text = lambda own: harness.proxy_config(
            port, admin_port, certificates, "ADDRESS", backend_options=own, **more).replace(
                'address = "ADDRESS"', "")
        self.proxy = self.start_proxy_with(self.text(pool(*servers, options=options)), port, admin_port)
        return self.proxy

    def rows(self):
        """{address: its row in the status}"""
        return {row["address"]: row for row in self.proxy.status()["backends"][0]["servers"]}

    def state(self, server):
        return self.rows()[server.address]["state"]

    def wait_for_state(self, server, state):
        harness.wait_until(lambda: self.state(server) == state,
                           lambda: f"{server.name} to be {state}: {self.rows()}")

    def reload(self, *servers, options=None):
        self.proxy.write_config(self.text(pool(*servers, options=self.options if options is None else options)))
        before = self.proxy.log().count("is in force")
        self.proxy.signal(1)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")
