"""A log that nobody reads: service continues, and lost lines are counted."""

import contextlib
import os
import re
import signal
import socket

import backends
import clients
import harness
import proc
import wire
from certificates import certificate
from immured import ImmuredTest, Key, key_process

FAILURES = harness.scaled(100, 30)  # each is a line of the log


class Reader:
    """A pipe or a socket that is full, and its reader."""

    def __init__(self, ends):
        self.reading, self.writing = ends
        self.written = b""
        self.writing.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.writing.send(b"-" * 4096)
        self.writing.setblocking(True)
        self.reading.setblocking(False)

    def read(self):
        """All lines so far that were not lost."""
        with contextlib.suppress(BlockingIOError):
            while more := self.reading.recv(1 << 16):
                self.written += more
        return self.written.lstrip(b"-").decode()

    def close(self):
        self.reading.close()
        self.writing.close()


class PipeEnd:
    """An end of a pipe, with the names that a socket has."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def fileno(self):
        return self.descriptor

    def setblocking(self, blocking):
        os.set_blocking(self.descriptor, blocking)

    def send(self, data):
        return os.write(self.descriptor, data)

    def recv(self, size):
        return os.read(self.descriptor, size)

    def close(self):
        os.close(self.descriptor)


READERS = {"pipe": lambda: [PipeEnd(end) for end in os.pipe()],
           "socket": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)}


class NobodyReads(ImmuredTest):
    def reader(self, name):
        return self.own(Reader(READERS[name]()))

    def assert_lost_are_told(self, reader, least, line):
        """As soon as there is room again, the number of lost lines is logged before any other line.
        A line that is just being written may use the room that the reader makes.
        """
        def told():
            if not reader.read():
                line()
            return reader.read()
        text = harness.wait_until(told, "the count of lost lines")
        counts = re.findall(r"(\n|^)\S+ \S+ warning: (\d+) lines of the log were lost: nobody read them(?=\n)",
                            text)
        self.assertEqual([before for before, _ in counts][:1], [""], text)
        self.assertGreaterEqual(sum(int(count) for _, count in counts), least)

    def failing_client(self):
        """Not TLS: the worker says at log-level debug that a handshake failed."""
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass

    def good_client(self):
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)

    def play_proxy(self, reader):
        backend = self.own(backends.Backend(backends.echo))
        port, admin_port = harness.free_port(), harness.free_port()
        config = harness.proxy_config(port, admin_port, [certificate("p-256")], backend.address,
                                      workers=1, top="log-level = debug")
        self.proxy = self.start_proxy_with(config, port, admin_port, stderr=reader.writing)
        worker, immured = self.proxy.worker(), self.proxy.immured()
        for _ in range(FAILURES):
            self.failing_client()
            self.good_client()
        os.kill(immured, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.immured() not in (0, immured), "a new immured")
        self.good_client()
        self.proxy.signal(signal.SIGHUP)  # the master's lines; another worker
        harness.wait_until(lambda: self.proxy.worker() not in (0, worker) and not proc.alive(worker),
                           "a new worker, alone")
        for _ in range(FAILURES):
            self.failing_client()
            self.good_client()
        self.assert_lost_are_told(reader, FAILURES, self.failing_client)

    def play_immured(self, reader):
        key = Key("p-256")
        self.start_immured(key, top="log-level = debug").stop()  # for its configuration
        immured = self.start_program("immured", "--config", self.config, stderr=reader.writing)

        def come_and_go():
            """Two lines at log-level debug."""
            with wire.Client.connect(self.path, timeout=harness.LIMIT) as client:
                self.assert_served(client, key)

        def served():
            with contextlib.suppress(OSError, wire.Closed):
                come_and_go()
                return True
            return False

        harness.wait_until(served, "immured to serve")
        for _ in range(FAILURES):
            with wire.Client.connect(self.path, timeout=harness.LIMIT):
                pass
        come_and_go()
        victim = key_process(immured)
        os.kill(victim, signal.SIGKILL)  # the supervisor's lines
        harness.wait_until(lambda: key_process(immured) not in (0, victim), "a new key process")
        harness.wait_until(served, "the new key process to serve")
        for _ in range(FAILURES):
            with wire.Client.connect(self.path, timeout=harness.LIMIT):
                pass
        self.assert_lost_are_told(reader, FAILURES, come_and_go)
        self.assertEqual(immured.stop(), [])

    def test_proxy(self):
        """The address sanitizer prints warnings about fibers, and blocks until a socket takes
        them."""
        for name in READERS if "address" not in harness.SANITIZE else ["pipe"]:
            with self.subTest(stderr=name):
                self.play_proxy(self.reader(name))

    def test_immured(self):
        for name in READERS:
            with self.subTest(stderr=name):
                self.play_immured(self.reader(name))


if __name__ == "__main__":
    harness.main()
