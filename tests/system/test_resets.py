"""Clients that leave at the worst moment leave no leak behind."""

import socket

import backends
import clients
import harness
import proc
from certificates import certificate

RESETS = harness.scaled(10_000, 2_000)
AT_ONCE = 200
ROUNDS = 5
LEAK = 4096  # bytes a client; what is smaller, the address sanitizer finds


class Resets(harness.SystemTest):
    def start(self, **options):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, **options)
        self.worker = self.proxy.worker()
        self.next_good_client()

    def next_good_client(self):
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)

    def settled(self):
        """Nothing of any client is left."""
        return (self.proxy.metric("immure_connections") == 0
                and self.proxy.metric("immure_signatures_pending") == 0)

    def figures(self):
        harness.wait_until(self.settled, "no connection and no pending signature")
        return (*self.descriptors(), proc.resident(self.worker), proc.resident(self.proxy.immured()))

    def descriptors(self):
        return proc.descriptors(self.worker), proc.descriptors(self.proxy.immured())

    def assert_no_growth(self, clients_a_round, play):
        """The heap reaches its final size after a few rounds, while a leak shows in every round."""
        figures = [self.figures()]
        for _ in range(ROUNDS):
            play()
            figures.append(self.figures())
        before = figures[0][:2]  # perhaps with the one of the question after the last figure
        harness.wait_until(lambda: all(now <= was for now, was in zip(self.descriptors(), before)),
                           lambda: f"{before} descriptors of worker and immured, and not {self.descriptors()}")
        if harness.SANITIZE:
            return  # it keeps freed memory for a while, and finds leaks by itself
        for place, name in ((2, "worker"), (3, "immured")):
            memory = [each[place] for each in figures]
            least = min(now - was for was, now in zip(memory, memory[1:]))
            self.assertLess(least, clients_a_round * LEAK, f"memory of {name}: {memory}")

    def send_to_all(self, data, count=AT_ONCE):
        connections = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", self.proxy.port))
            if data:
                connection.sendall(data)
            connections.append(connection)
        return connections

    def leave_while_signing(self, hello, leave):
        """How many signatures were pending when they began to leave."""
        connections = self.send_to_all(hello)
        seen = self.proxy.metric("immure_signatures_pending")
        for connection in connections:
            leave(connection)
        return seen

    def test_reset_while_the_signature_is_pending(self):
        tester = harness.program_path("immured-test")
        self.start(workers=2, keys=f'threads = 1\n    program = "{tester}"\n    backend = "delay"')
        seen = []
        for version in (clients.TLS12, clients.TLS13):
            hello = clients.client_hello(version)

            def play(hello=hello):
                for number in range(RESETS // AT_ONCE // ROUNDS // 2):
                    leave = clients.reset if number % 4 else socket.socket.close
                    seen.append(self.leave_while_signing(hello, leave))

            self.assert_no_growth(RESETS // ROUNDS // 2, play)
            self.next_good_client()
        self.assertGreater(max(seen), 0)
        self.assertEqual(self.proxy.worker(), self.worker)
        self.assertGreaterEqual(self.proxy.metric("immure_handshakes_total", result="aborted"),
                                RESETS * 0.9)

    def test_stop_at_every_byte_of_the_client_hello(self):
        self.start(top='handshake-timeout = "3s"')
        hello = clients.client_hello()
        self.assert_no_growth(len(hello), lambda: self.stop_everywhere(hello))
        self.proxy.wait_for(ROUNDS * len(hello), "immure_handshakes_total", result="timeout")
        self.next_good_client()

    def stop_everywhere(self, hello):
        connections = []
        for length in range(len(hello)):
            connections += self.send_to_all(hello[:length], 1)
        self.next_good_client()
        for connection in connections:
            connection.settimeout(harness.LIMIT)
            self.assertEqual(self.end_of(connection), b"")
            connection.close()

    def end_of(self, connection):
        """What comes before the end of the connection: an alert may, nothing else."""
        data = b""
        try:
            while more := connection.recv(4096):
                data += more
        except ConnectionResetError:
            pass
        return b"" if data[:1] == b"\x15" else data

    def test_leave_at_every_byte_of_the_client_hello(self):
        self.start()
        hello = clients.client_hello()

        def play():
            for leave in (socket.socket.close, clients.reset):
                for length in range(len(hello)):
                    leave(self.send_to_all(hello[:length], 1)[0])

        self.assert_no_growth(2 * len(hello), play)
        self.next_good_client()

    def test_every_byte_alone(self):
        self.start()
        tls = clients.ssl.MemoryBIO(), clients.ssl.MemoryBIO()
        client = clients.context().wrap_bio(*tls, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    client.do_handshake()
                    break
                except clients.ssl.SSLWantReadError:
                    for byte in tls[1].read():
                        connection.sendall(bytes([byte]))
                    tls[0].write(connection.recv(1))
            connection.sendall(tls[1].read())
            client.write(b"hello")
            connection.sendall(tls[1].read())
            got = b""
            while got != b"hello":
                try:
                    got += client.read(5)
                except clients.ssl.SSLWantReadError:
                    tls[0].write(connection.recv(65536))

    def test_no_tls_at_all(self):
        self.start()
        failed = self.proxy.metric("immure_handshakes_total", result="failed")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"A" * 100, b"\0" * 4096):
            connection = self.send_to_all(garbage, 1)[0]
            connection.settimeout(harness.LIMIT)
            self.assertEqual(self.end_of(connection), b"")
            connection.close()
        self.proxy.wait_for(failed + 3, "immure_handshakes_total", result="failed")
        self.next_good_client()


if __name__ == "__main__":
    harness.main()
