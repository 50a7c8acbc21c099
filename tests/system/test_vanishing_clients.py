"""Clients that vanish at every stage of a handshake and after it, with FIN and with RST, many at a
time: they leave nothing behind in the proxy or in immured, and the next client is served."""

import contextlib
import os
import signal
import socket
import ssl
import time

import backends
import clients
import harness
import proc
from certificates import certificate

CLIENTS = harness.endured(3_000, 100_000)
AT_ONCE = 80
SETTLED_EVERY = 20  # bursts


class Client:
    """A TLS client that proceeds step by step, so that it can stop anywhere."""

    def __init__(self, port, tls, retries):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=harness.LIMIT)
        self.retries = retries
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def next_flight(self):
        """The client's next flight, unsent; None: it needs more input."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read() or None

    def hear(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the proxy ended the connection")
        self.incoming.write(data)

    def flight_after(self, flight):
        """Sends this, reads the reply, and returns the client's next flight, unsent."""
        self.socket.sendall(flight)
        yield
        while (answer := self.next_flight()) is None:
            self.hear()
        return answer

    def hello(self):
        """The ClientHello that the server takes, unsent."""
        flight = self.next_flight()
        for _ in range(self.retries):
            flight = yield from self.flight_after(flight)
        return flight

    def last_flight(self):
        return (yield from self.flight_after((yield from self.hello())))

    def finish(self):
        self.socket.sendall((yield from self.last_flight()))
        yield
        while not self.established():
            self.hear()

    def established(self):
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def write(self, data):
        self.tls.write(data)
        return self.outgoing.read()


def half(data):
    return data[:len(data) // 2]


# How far each goes. They yield where the others of a burst have their turn before they hear the proxy.

def connected(_):
    """Nothing but a TCP connection."""
    yield


def half_a_hello(client):
    client.socket.sendall(half(client.next_flight()))
    yield


def hello(client):
    """The derivation waits for the end of the turn, or the signature for immured."""
    client.socket.sendall((yield from client.hello()))


def hello_and_more(client):
    """Junk behind it lies in the socket when the answer to the ClientHello is written."""
    client.socket.sendall((yield from client.hello()) + b"\x17\x03\x03\x00\x20" + bytes(32))


def first_byte_of_the_answer(client):
    client.socket.sendall(client.next_flight())  # the answer is a HelloRetryRequest, where there is one
    yield
    client.socket.recv(1)


def server_flight(client):
    yield from client.last_flight()


def half_a_finished(client):
    client.socket.sendall(half((yield from client.last_flight())))


def finished(client):
    yield from client.finish()


def half_a_request(client):
    yield from client.finish()
    client.socket.sendall(half(client.write(b"r" * 1000)))


def request(client):
    """Its answer is on its way."""
    yield from client.finish()
    client.socket.sendall(client.write(b"r" * 20_000))


STAGES = [connected, half_a_hello, hello, hello_and_more, first_byte_of_the_answer, server_flight,
          half_a_finished, finished, half_a_request, request]


class Vanishing(harness.SystemTest):
    def start(self, frontend="", **options):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, workers=1,
                                      frontend=frontend, **options)
        self.processes = self.proxy.worker(), self.proxy.immured()
        self.good_client()
        self.descriptors = self.settled()

    def good_client(self):
        for version in (clients.TLS12, clients.TLS13):
            with clients.connect(self.proxy.port, clients.context(version)) as client:
                clients.echo_once(client)

    def nothing_left(self):
        return (self.proxy.metric("immure_connections") == 0
                and self.proxy.metric("immure_signatures_pending") == 0
                and self.proxy.metric("immure_keyd_queued") == 0)

    def aborted(self):
        return self.proxy.metric("immure_handshakes_total", result="aborted")

    def settled(self):
        """The descriptors of worker and immured after all clients have left."""
        harness.wait_until(self.nothing_left, "no connection and no signature in flight")
        time.sleep(0.2)  # the admin listener closes the connection that asked for it
        return [proc.descriptors(pid) for pid in self.processes]

    def burst(self, tls, number, retries):
        """Side by side, so that they share turns and batches; then all of them leave."""
        there = [Client(self.proxy.port, tls, retries) for _ in range(AT_ONCE)]
        going = [STAGES[(at + number) % len(STAGES)](client) for at, client in enumerate(there)]
        while going:
            going = [each for each in going if self.goes_on(each)]
        for at, client in enumerate(there):
            leave = clients.reset if (at // len(STAGES) + number) % 2 else socket.socket.close
            leave(client.socket)

    @staticmethod
    def goes_on(steps):
        with contextlib.suppress(ConnectionError):  # of who has sent junk
            for _ in steps:
                return True
        return False

    def play(self, version, percent, retries=0):
        """So many of all the clients."""
        tls, aborted = clients.context(version), self.aborted()
        bursts = max(2, CLIENTS * percent // 100 // AT_ONCE)
        for number in range(bursts):
            self.burst(tls, number, retries)
            if number % SETTLED_EVERY == 0:
                self.good_client()
        self.assertEqual(self.settled(), self.descriptors, "descriptors of worker and immured")
        self.assertGreater(self.aborted() - aborted, bursts * AT_ONCE // 2)
        self.assertEqual((self.proxy.worker(), self.proxy.immured()), self.processes)
        self.good_client()

    def test_batches(self):
        """Derivations of a turn together, signatures as fast as they are made."""
        self.start()
        self.play(clients.TLS13, 40)
        self.play(clients.TLS12, 10)

    def test_retry(self):
        """After a HelloRetryRequest: these clients have sent a share of X25519 only."""
        self.start('groups = "P-384"')
        self.play(clients.TLS13, 20, retries=1)

    def test_signature_in_flight(self):
        """Each signature takes a while, so that they leave while it is made."""
        program = harness.program_path("immured-test")
        self.start(keys=f'threads = 1\n    program = "{program}"\n    backend = "delay"')
        self.play(clients.TLS13, 20)
        self.play(clients.TLS12, 10)

    def stopped_meanwhile(self, play):
        """What the worker finds when it has been kept from its loop for a while."""
        worker = self.proxy.worker()
        proc.stop(worker)
        try:
            play()
        finally:
            os.kill(worker, signal.SIGCONT)

    def signatures(self):
        return self.proxy.metric("immure_sign_seconds_count")

    def test_left_before_the_first_step(self):
        """A ClientHello, then FIN or RST: no key exchange, no signature."""
        count = 500
        for version in (clients.TLS12, clients.TLS13):
            for leave in (socket.socket.close, clients.reset):
                with self.subTest(version=version, leave=leave.__name__):
                    self.start()
                    accepted = self.proxy.metric("immure_accepted_total")
                    signatures, hello = self.signatures(), clients.client_hello(version)

                    def come_and_leave():
                        for _ in range(count):
                            client = socket.create_connection(("127.0.0.1", self.proxy.port))
                            client.sendall(hello)
                            leave(client)

                    self.stopped_meanwhile(come_and_leave)
                    self.proxy.wait_for(accepted + count, "immure_accepted_total")
                    self.proxy.wait_for(0, "immure_connections")
                    self.assertEqual(self.signatures(), signatures)

    def test_fin_behind_the_last_flight(self):
        """Finished, a request, close_notify and FIN at once are no reason to drop the client."""
        self.start()
        test = self

        class Hasty(clients.Stream):
            def begin(self, first):
                super().begin(first)
                try:
                    self.tls.unwrap()
                except ssl.SSLWantReadError:
                    pass
                test.stopped_meanwhile(self.send_all_and_end)

            def send_all_and_end(self):
                self.flush()
                self.socket.shutdown(socket.SHUT_WR)

        stream = self.own(Hasty(self.proxy.port, clients.context(clients.TLS13), first=b"ping"))
        self.assertEqual(stream.receive_all(), b"ping")


if __name__ == "__main__":
    harness.main()
