"""examples/: servers on other event loops and TLS libraries, with their keys in immured."""

import os
import resource
import signal
import socket
import ssl

import clients
import harness
import provider
from immured import ImmuredTest, Key

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples")
IN_FLIGHT = 1000
GONE = 100  # the number of clients that leave
ANSWER = b"hello\n"


def receive_queues(port):
    """Bytes that each connection of a server has not read yet."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return [int(row[4].split(":")[1], 16) for row in rows
            if row[1].endswith(f":{port:04X}") and row[3] == "01"]


class Pending:
    """A client that has sent its ClientHello."""

    def __init__(self, port, version):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=harness.LIMIT)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = clients.context(version).wrap_bio(self.incoming, self.outgoing)
        self.attempt(self.tls.do_handshake)

    def attempt(self, call, *arguments):
        """False: more input is needed first."""
        try:
            value = call(*arguments)
        except ssl.SSLWantReadError:
            value = False
        data = self.outgoing.read()
        if data:
            self.socket.sendall(data)
        return value

    def until(self, call, *arguments):
        while True:
            value = self.attempt(call, *arguments)
            if value is not False:
                return value
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server has closed")
            self.incoming.write(data)

    def get(self):
        self.until(self.tls.do_handshake)
        self.tls.write(b"GET / HTTP/1.0\r\n\r\n")
        return self.until(self.tls.read, 1000)


class Examples:
    """The tests of each."""

    program = None
    needed = None  # to build it
    kinds = ("p-256", "p-384", "p-521", "rsa-2048", "ed25519")
    versions = (clients.TLS13, clients.TLS12)

    def setUp(self):
        if not os.access(harness.program_path(self.program), os.X_OK):
            self.skipTest(f"{self.program} was not built: {self.needed} is wanted")
        super().setUp()

    def start_example(self, key):
        self.port = harness.free_port()
        reference = os.path.join(self.directory, f"{key.kind}.ref")
        with open(reference, "w", encoding="ascii") as file:
            file.write(provider.reference(key, self.path))
        example = self.start_program(self.program, reference, key.file.replace(".key", ".crt"),
                                     str(self.port))
        harness.wait_until(lambda: "ready" in example.log() or not example.running(),
                           "the example to be ready")
        return example

    def pending(self, version):
        client = Pending(self.port, version)
        self.addCleanup(client.socket.close)
        return client

    def assert_serves(self, client):
        self.assertTrue(client.get().endswith(ANSWER))

    def test_every_key_and_version(self):
        keys = [Key(kind) for kind in self.kinds]
        self.start_immured(*keys)
        for key in keys:
            example = self.start_example(key)
            for version in self.versions:
                with self.subTest(key=key.kind, version=version):
                    self.assert_serves(self.pending(version))
            self.assertEqual(example.stop(), [])

    def test_a_thousand_in_flight(self):
        """With a stopped immured. Then some clients leave, immured is killed, and another one
        starts."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * IN_FLIGHT:
            self.skipTest(f"at most {hard} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IN_FLIGHT), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        key = Key("p-256")
        first = self.start_immured(key)
        self.start_example(key)
        self.assert_serves(self.pending(self.versions[0]))

        first.signal(signal.SIGSTOP)
        waiting = [self.pending(self.versions[i % len(self.versions)]) for i in range(IN_FLIGHT)]
        harness.wait_until(lambda: len(queues := receive_queues(self.port)) == IN_FLIGHT
                           and not any(queues), "the server to have read every ClientHello")
        leaving, staying = waiting[:GONE], waiting[GONE:]
        for each in leaving:
            clients.reset(each.socket)
        harness.wait_until(lambda: len(receive_queues(self.port)) == len(staying),
                           "the server to have closed what has left")
        first.expected_status = -signal.SIGKILL
        first.signal(signal.SIGKILL)
        first.wait()
        self.start_immured(key)
        for each in staying:
            self.assert_serves(each)

    def test_without_immured(self):
        """It starts, and serves as soon as immured does."""
        key = Key("p-256")
        self.path = os.path.join(self.directory, "immured.sock")
        self.start_example(key)
        early = self.pending(self.versions[0])
        self.start_immured(key)
        self.assert_serves(early)

    def test_its_lines(self):
        """The example is short enough to read in an afternoon."""
        for name in os.listdir(SOURCES):
            with open(os.path.join(SOURCES, name), encoding="utf-8") as file:
                self.assertLess(sum(1 for _ in file), 250, name)

    def test_no_reference(self):
        key = Key("p-256")
        example = self.start_program(self.program, key.file, key.file, str(harness.free_port()))
        example.expected_status = 1
        self.assertEqual(example.wait(), 1)
        self.assertIn("there is no IMMURE KEY REFERENCE in it", example.log())


class OpenSSL(Examples, ImmuredTest):
    program, needed = "example-openssl", "libssl-dev"


class LibUV(Examples, ImmuredTest):
    program, needed = "example-libuv", "libuv1-dev"


class BoringSSL(Examples, ImmuredTest):
    program, needed = "example-boringssl", "android-libboringssl-dev, or BORINGSSL_ROOT,"
    kinds = ("p-256", "p-384", "rsa-2048", "ed25519")  # by default it does not offer P-521


class Picotls(Examples, ImmuredTest):
    program, needed = "example-picotls", "PICOTLS_ROOT"
    versions = (clients.TLS13,)


if __name__ == "__main__":
    harness.main()
