"""Clients that are slow, silent or numerous before their handshake: a good client is still served,
and the others cost little memory, which is freed again."""

import contextlib
import os
import resource
import socket
import statistics
import threading
import time

import backends
import clients
import harness
import proc
from certificates import certificate

PATIENCE = harness.scaled(1.0, 5.0)  # seconds until a good client is served, where it takes at most a
SLOWER = 10                          # tenth of them without the others
IDLE = harness.endured(2_000, 10_000)
IDLE_MEMORY = 20 << 10  # bytes that each may cost
FLOOD = harness.endured(500, 2_000)
FLOODS = 5
HALF_A_HANDSHAKE = 16 << 10  # bytes, at least
LEFT = 4096  # bytes of a client of a flood; a leak is more, in every one of them
DESCRIPTORS = 2 * IDLE + 1000


class SlowClients(harness.SystemTest):
    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.stack = self.own(contextlib.ExitStack())

    def start(self, timeout="60s"):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address,
                                      top=f"handshake-timeout = {timeout} max-connections = {IDLE + 1000}")
        self.worker = self.proxy.worker()
        alone = statistics.median(harness.seconds_of(self.serve_good_client) for _ in range(10))
        self.patience = max(PATIENCE, SLOWER * alone)

    def connect(self):
        return self.stack.enter_context(socket.create_connection(
            ("127.0.0.1", self.proxy.port), timeout=harness.LIMIT))

    def serve_good_client(self):
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)

    def assert_good_client_served(self):
        harness.assert_within(self.patience, lambda: harness.seconds_of(self.serve_good_client))

    def descriptors(self):
        return proc.descriptors(self.worker) if os.geteuid() == 0 else 0

    def resident(self):
        return proc.resident(self.worker)

    def leave(self):
        """Closes all of them, and waits until the worker has noticed."""
        self.stack.close()
        self.proxy.wait_for(0, "immure_connections")

    def assert_descriptors_back(self, before):
        """The admin listener's, too, for the connection that has just asked for a figure."""
        harness.wait_until(lambda: self.descriptors() <= before,
                           lambda: f"{before} descriptors at most, and not {self.descriptors()}")

    def test_idle_before_the_handshake(self):
        self.start()
        descriptors, memory = self.descriptors(), self.resident()
        for _ in range(IDLE):
            self.connect()
        self.proxy.wait_for(IDLE, "immure_connections")
        if not harness.SANITIZE:
            self.assertLess((self.resident() - memory) / IDLE, IDLE_MEMORY)
        for _ in range(10):
            self.assert_good_client_served()
        self.leave()
        self.assert_descriptors_back(descriptors)
        self.assertEqual(self.proxy.worker(), self.worker)

    @harness.not_sanitized("its allocator gives back nothing")
    def test_memory_comes_back(self):
        """Half a ClientHello makes the worker allocate for a handshake; no fiber does it pause."""
        self.start()
        before = self.resident()
        hello = clients.client_hello()
        for _ in range(FLOOD):
            self.connect().sendall(hello[:len(hello) // 2])
        harness.wait_until(lambda: self.resident() - before > FLOOD * HALF_A_HANDSHAKE, "all to be read")
        most = self.resident()
        self.leave()
        harness.wait_until(lambda: self.resident() - before < (most - before) // 3,
                           f"the memory of {FLOOD} handshakes, {before} before and {most} at most")
        self.serve_good_client()

    def test_slowloris(self):
        """Clients that send a byte of a ClientHello now and then are disconnected at their
        timeout."""
        self.start(timeout="3s")
        before = self.descriptors()
        hello = clients.client_hello()
        count = harness.endured(300, 1000)
        alive = [self.connect() for _ in range(count)]
        deadline = time.monotonic() + harness.LIMIT
        for byte in hello:
            if not alive:
                break
            self.assertLess(time.monotonic(), deadline)
            for stream in alive.copy():
                try:
                    stream.send(bytes([byte]))
                except OSError:
                    alive.remove(stream)
            self.assert_good_client_served()
            time.sleep(0.05)
        self.proxy.wait_for(count, "immure_handshakes_total", result="timeout")
        self.leave()
        self.assert_descriptors_back(before)

    def play(self, data, leave=socket.socket.close):
        """FLOOD connections that send this, a good client meanwhile, and all of them gone. How long the good
        one had to wait for most of its connections."""
        good = []
        stopping = threading.Event()

        def serve():
            while not stopping.is_set():
                good.append(harness.seconds_of(self.serve_good_client))
                time.sleep(0.05)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        streams = []
        for number in range(FLOOD):
            stream = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=harness.LIMIT)
            streams.append(stream)
            with contextlib.suppress(OSError):
                stream.sendall(data(number))
        time.sleep(0.2)
        for stream in streams:
            leave(stream)
        stopping.set()
        thread.join(harness.LIMIT)
        self.assertFalse(thread.is_alive())
        return statistics.median(good)

    def assert_flood_comes_to_nothing(self, data, leave=socket.socket.close):
        """The heap finds its size in the first; after that memory does not grow with each."""
        figures, waits = [], []
        for _ in range(FLOODS):
            waits.append(self.play(data, leave))
            self.leave()
            figures.append((self.descriptors(), self.resident()))
        self.assertLess(min(waits), self.patience)  # what else the machine does may hold up the others
        self.assert_descriptors_back(figures[0][0])
        self.assertEqual(self.proxy.worker(), self.worker)
        if not harness.SANITIZE:
            memory = [each[1] for each in figures]
            least = min(now - was for was, now in zip(memory, memory[1:]))
            self.assertLess(least, FLOOD * LEFT, f"memory of the worker: {memory}")

    def test_garbage(self):
        self.start()
        kinds = (lambda: os.urandom(200), lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 lambda: b"\x16\x03\x01\xff\xff" + os.urandom(300), lambda: b"\0" * 100,
                 lambda: clients.client_hello()[:60] + os.urandom(400))
        self.assert_flood_comes_to_nothing(lambda number: kinds[number % len(kinds)]())

    def test_flood_of_hellos(self):
        """Each costs a signature, and then nobody goes on."""
        self.start()
        hello = clients.client_hello()
        self.assert_flood_comes_to_nothing(lambda number: hello)

    def test_flood_of_resets(self):
        self.start()
        hello = clients.client_hello()
        self.assert_flood_comes_to_nothing(lambda number: hello[:number % len(hello)], clients.reset)


if __name__ == "__main__":
    harness.main()
