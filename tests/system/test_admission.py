"""Floods of handshakes: who is served first when not all can be, who is reset, and who is refused.

What is compared is the order in which clients are served, in one run with admission and one without
it, because times say little on a busy machine."""

import contextlib
import re
import statistics
import threading

import backends
import clients
import harness
from certificates import certificate

ATTACKERS = ["127.0.6.1", "127.0.6.2"]
AT_ONCE = 96  # connections of a flood
HONEST = 10
QUICK = "handshake-wait = 5ms\nhandshake-wait-interval = 20ms"


def honest(number):
    """The address of an honest client: each has its own."""
    return f"127.0.7.{number + 1}"


# What attackers do, again and again. Each returns whether it made the proxy answer.

def asks(port, source):
    """Takes the server's flight, which costs a signature, and leaves."""
    with clients.raw_connection(port, source) as connection:
        connection.sendall(clients.client_hello())
        answered = connection.recv(1) != b""
        clients.reset(connection)
        return answered


def leaves(port, source):
    """Leaves as soon as the ClientHello is sent."""
    with clients.raw_connection(port, source) as connection:
        connection.sendall(clients.client_hello())
    return False


def completes(port, source):
    """Finishes each handshake."""
    with clients.connect(port, clients.context(clients.TLS13), source=source):
        return True


class Flood:
    """So many clients, each of which does the same again and again, from these addresses by turns."""

    def __init__(self, port, behaviour, sources=tuple(ATTACKERS), at_once=AT_ONCE):
        self.answered = self.reset = 0
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(port, behaviour, sources[i % len(sources)]))
                        for i in range(at_once)]
        for thread in self.threads:
            thread.start()

    def run(self, port, behaviour, source):
        while not self.over.is_set():
            answered = reset = False
            try:
                answered = behaviour(port, source)
            except ConnectionResetError:
                reset = True
            except OSError:
                self.over.wait(0.01)  # the proxy has closed it, or has no room
            with self.lock:
                self.answered += answered
                self.reset += reset

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Admission(harness.SystemTest):
    def start(self, top, *, kind="rsa-4096", frontend="", **options):
        server = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate(kind)], server.address, workers=1, top=top,
                                      frontend=frontend, keys="threads = 1", **options)
        return self.proxy

    def flood(self, behaviour, **options):
        return self.own(Flood(self.proxy.port, behaviour, **options))

    def visit(self, number):
        tls = clients.context((clients.TLS12, clients.TLS13)[number % 2])
        with clients.connect(self.proxy.port, tls, source=honest(number)) as connection:
            clients.echo_once(connection)

    def overtaken(self, flood, may_fail=False):
        """How many clients of the flood are answered while an honest one waits: for each of some. One
        that fails counts as one that waits for all of them."""
        answers = []
        for number in range(HONEST):
            before = flood.answered
            try:
                self.visit(number)
                answers.append(flood.answered - before)
            except OSError:
                if not may_fail:
                    raise
                answers.append(AT_ONCE)
        return answers

    def wait_for_overload(self):
        harness.wait_until(lambda: self.proxy.metric("immure_held_back_total") > AT_ONCE,
                           "handshakes to be held back")

    def expect_quiet(self):
        """Nothing is left when the flood is over."""
        for name in ("immure_held", "immure_overloaded"):
            self.proxy.wait_for(0, name)
        self.proxy.wait_for(0, "immure_connections")

    def with_flood(self, top, behaviour, **options):
        """The typical number of attackers that are answered while an honest client waits. Without
        admission immured may refuse to sign, because its queue is too long."""
        self.start(top, **options)
        ordered = "none" not in top
        with contextlib.closing(Flood(self.proxy.port, behaviour)) as flood:
            harness.wait_until(lambda: flood.answered > AT_ONCE, "the flood")
            if ordered:
                self.wait_for_overload()
            return statistics.median(self.overtaken(flood, may_fail=not ordered))

    def check_order(self, behaviour, **options):
        without = self.with_flood("handshake-wait = none", behaviour, **options)
        ordered = self.with_flood(QUICK, behaviour, **options)
        self.assertLess(2 * ordered, without)
        self.expect_quiet()

    def test_honest_clients_come_before_a_flood(self):
        self.check_order(asks)

    def test_loop_that_cannot_keep_up(self):
        """Here it is not immured that has too much to do: clients wait in the backlog, too."""
        self.check_order(asks, signing="in-process")

    def test_flood_that_finishes_its_handshakes(self):
        self.check_order(completes)

    def test_log_and_figures(self):
        self.start(QUICK)
        flood = self.flood(asks)
        self.wait_for_overload()
        harness.wait_until(lambda: self.proxy.metric("immure_overloaded") == 1, "an overloaded loop")
        status = self.proxy.status()["connections"]
        self.assertGreater(status["held_back"], 0)
        self.assertGreater(status["held"], 0)
        self.assertEqual(status["overloaded"], 1)
        self.assertIn("Handshakes held back", self.proxy.get("/"))
        harness.wait_until(lambda: self.proxy.log().count("handshakes wait too long") >= 3, "three lines")
        flood.close()
        self.expect_quiet()
        lines = re.findall(r"^(\S+) immure-proxy\S* warning: (thread 0: handshakes wait too long .*)$",
                           self.proxy.log(), re.M)
        seconds = [time[:19] for time, _ in lines]
        self.assertLessEqual(max(seconds.count(second) for second in seconds), 2)
        self.assertRegex(lines[-1][1], r"held back, \d+ shed after handshake-patience, \d+ shed for room; "
                                       r"most work lately: 127\.0\.6\.[12]/32 \(\d+ ms\)")

    def test_nobody_is_held_back_without_overload(self):
        self.start("handshake-wait = 1s\nhandshake-patience = 1ms", kind="p-256")
        for number in range(50):
            self.visit(number % 5)
        for name in ("held_back", "shed_waited", "shed_room", "limited_connections", "limited_rate"):
            self.assertEqual(self.proxy.metric(f"immure_{name}_total"), 0, name)

    def test_resumption_needs_no_turn_for_a_signature(self):
        """It comes from an address of the flood, and is served all the same."""
        self.start(QUICK)
        tls = clients.context(clients.TLS13)
        with clients.connect(self.proxy.port, tls, source=ATTACKERS[0]) as connection:
            clients.echo_once(connection)
            session = connection.session
        flood = self.flood(asks, at_once=8)
        self.wait_for_overload_of(flood)
        with clients.connect(self.proxy.port, tls, session=session, source=honest(1)) as connection:
            clients.echo_once(connection)
            self.assertTrue(connection.session_reused)

    def wait_for_overload_of(self, flood):
        harness.wait_until(lambda: flood.answered > 20, "the flood")

    def test_clients_that_leave(self):
        self.start(QUICK, kind="rsa-2048")
        flood = self.flood(leaves)
        for number in range(HONEST):
            self.visit(number)
        flood.close()
        self.expect_quiet()

    def test_patience(self):
        """Those that wait too long are reset; others are served meanwhile."""
        self.start(QUICK + "\nhandshake-patience = 600ms")
        flood = self.flood(asks, at_once=3 * AT_ONCE)
        harness.wait_until(lambda: flood.reset > 0, "a client that is reset")
        for number in range(HONEST):
            self.visit(number)
        flood.close()
        shed = self.proxy.metric("immure_shed_waited_total")
        self.assertGreaterEqual(shed, 1)
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="shed"), shed)
        self.expect_quiet()

    def test_room(self):
        """All places are taken by those that are held back. They are given up for others."""
        self.start(QUICK + "\nmax-connections = 48")
        flood = self.flood(asks)
        self.wait_for_overload()
        for number in range(HONEST):
            self.visit(number)
        harness.wait_until(lambda: self.proxy.metric("immure_shed_room_total") > 0, "room to be made")
        flood.close()
        self.expect_quiet()

    def test_exempt_networks(self):
        """They are served as if there were no flood, and are not limited."""
        self.start(QUICK + '\nnever-held-back = { "127.0.7.0/24" }\nconnections-by-source = 64')
        flood = self.flood(asks)
        self.wait_for_overload()
        self.assertLess(statistics.median(self.overtaken(flood)), AT_ONCE / 2)


class Limits(harness.SystemTest):
    def start(self, top, frontend=""):
        server = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], server.address, top=top, frontend=frontend)

    def open(self, source, before=b""):
        connection = self.own(clients.raw_connection(self.proxy.port, source))
        connection.sendall(before + clients.client_hello())
        return connection

    def expect_served(self, *arguments):
        connection = self.open(*arguments)
        self.assertNotEqual(connection.recv(1), b"")
        return connection

    def expect_reset(self, *arguments):
        with self.assertRaises(OSError):
            connection = self.open(*arguments)
            if connection.recv(1) == b"":
                raise ConnectionError("closed")

    def test_connections(self):
        self.start('connections-by-source = 5\nnever-held-back = { "127.0.7.9" }')
        mine = [self.expect_served(honest(0)) for _ in range(5)]
        for _ in range(3):
            self.expect_reset(honest(0))
        self.expect_served(honest(1))
        for _ in range(8):
            self.expect_served("127.0.7.9")
        self.assertEqual(self.proxy.metric("immure_limited_connections_total"), 3)
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="limited"), 3)
        self.assertRegex(self.proxy.log(), r"connections are refused: \d+ over connections-by-source, "
                                           r"0 over connection-rate-by-source, the last from 127\.0\.7\.1/32")
        clients.reset(mine.pop())
        harness.wait_until(lambda: self.proxy.metric("immure_connections") == 13, "a place to be free")
        self.expect_served(honest(0))
        self.expect_reset(honest(0))

    def test_silent_clients_count(self):
        self.start("connections-by-source = 3")
        for _ in range(3):
            self.own(clients.raw_connection(self.proxy.port, honest(0)))
        self.proxy.wait_for(3, "immure_connections", state="handshaking")
        self.expect_reset(honest(0))
        self.expect_served(honest(1))

    def test_rate(self):
        self.start("connection-rate-by-source = 1")
        refused = 0
        for _ in range(40):
            with contextlib.suppress(ConnectionResetError):
                with clients.raw_connection(self.proxy.port, honest(0)) as connection:
                    connection.sendall(clients.client_hello())
                    refused += connection.recv(1) == b""
                continue
            refused += 1
        self.assertGreater(refused, 0)
        self.assertEqual(self.proxy.metric("immure_limited_rate_total"), refused)
        self.expect_served(honest(1))

    def test_source_in_a_header(self):
        """A load balancer's clients are told apart, and all have the address of one connection."""
        self.start("connections-by-source = 2", "accept-proxy = v1")
        header = "PROXY TCP4 203.0.113.{} 198.51.100.1 51234 443\r\n"
        for client in (1, 2, 3):
            for _ in range(2):
                self.expect_served(None, header.format(client).encode())
        self.expect_reset(None, header.format(2).encode())
        self.expect_served(None, header.format(4).encode())
        self.assertEqual(self.proxy.metric("immure_limited_connections_total"), 1)

    def test_prefixes_of_ipv6(self):
        """Addresses of one /56 are one source."""
        self.start("connections-by-source = 2", "accept-proxy = v1")
        header = "PROXY TCP6 2001:db8:0:{} 2001:db8::1 51234 443\r\n"
        for address in ("100::1", "1ff::2", "200::1", "2ff::2"):
            self.expect_served(None, header.format(address).encode())
        self.expect_reset(None, header.format("180::3").encode())
        self.expect_served(None, header.format("300::3").encode())


if __name__ == "__main__":
    harness.main()
