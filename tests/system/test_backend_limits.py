"""Limits of connections, over all threads; the queue of those that wait, and its two ends; and the shares
that servers get."""

import collections
import threading
import time

import clients
import harness
from certificates import certificate
from greeters import Greeter, Listeners, PoolTest, greeting


class Limits(PoolTest):
    def greeter(self, name, **options):
        return self.own(Greeter(name, **options))

    def serve(self, *servers, **options):
        options.setdefault("workers", 4)
        return self.start([certificate("p-256")],
                          *((server.address, more) for server, more in servers), **options)

    def held(self, count):
        """So many connections, each of which has a server."""
        held = []
        for _ in range(count):
            connection = self.own(clients.connect(self.proxy.port))
            self.assertTrue(connection.recv(100))
            held.append(connection)
        return held

    def ended(self, connection):
        """Whether the connection ends without a greeting."""
        try:
            return connection.recv(100) == b""
        except OSError:
            return True

    def test_no_server_has_more_over_all_threads(self):
        one, two = self.greeter("one", delay=0.02), self.greeter("two", delay=0.02)
        self.serve((one, "max-connections = 3"), (two, "max-connections = 2"), options="queue-timeout = 30s")
        load = self.own(Listeners(self.proxy.port, threads=24))
        load.wait_for_more(600)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertEqual((one.most, two.most), (3, 2))
        harness.wait_until(lambda: all(row["connections"] == 0 for row in self.rows().values()), "the ends")
        self.assertEqual(self.proxy.metric("immure_queued"), 0)
        self.assertEqual(self.proxy.metric("immure_backend_queued", backend="app"), 0)

    def test_who_waits_is_served_when_there_is_room(self):
        one = self.greeter("one")
        self.serve((one, "max-connections = 2"), options="queue-timeout = 60s")
        first = self.held(2)
        waiting = [self.own(clients.connect(self.proxy.port)) for _ in range(6)]
        self.proxy.wait_for(6, "immure_queued")
        self.assertEqual(self.proxy.status()["backends"][0]["queued"], 6)
        for connection in [*first, *waiting]:
            if connection not in first:
                self.assertEqual(connection.recv(100), b"one")
            connection.close()
        self.proxy.wait_for(0, "immure_queued")
        self.assertEqual(one.most, 2)
        self.assertEqual(self.proxy.metric("immure_queue_timeouts_total"), 0)

    def test_the_queue_is_full(self):
        one = self.greeter("one")
        self.serve((one, "max-connections = 1"), options="queue = 2  queue-timeout = 60s")
        self.held(1)
        waiting = [self.own(clients.connect(self.proxy.port)) for _ in range(2)]
        self.proxy.wait_for(2, "immure_queued")
        self.assertTrue(self.ended(self.own(clients.connect(self.proxy.port))))
        self.proxy.wait_for(1, "immure_queue_full_total")
        self.assertIn('backend "app": a client is closed: all servers have their max-connections, and the queue '
                      "has its 2 connections", self.proxy.log())
        self.assertEqual(self.proxy.metric("immure_queued"), 2)
        for connection in waiting:
            connection.close()

    def test_the_time_in_the_queue_is_over(self):
        one = self.greeter("one")
        self.serve((one, "max-connections = 1"), options="queue-timeout = 300ms")
        self.held(1)
        begun = time.monotonic()
        self.assertTrue(self.ended(self.own(clients.connect(self.proxy.port))))
        self.assertGreater(time.monotonic() - begun, 0.29)
        self.proxy.wait_for(1, "immure_queue_timeouts_total")
        self.assertIn('backend "app": a client is closed after 300 ms in the queue', self.proxy.log())
        self.proxy.wait_for(0, "immure_queued")

    def test_without_a_queue(self):
        one = self.greeter("one")
        self.serve((one, "max-connections = 1"), options="queue = 0")
        held = self.held(1)
        self.assertTrue(self.ended(self.own(clients.connect(self.proxy.port))))
        held[0].close()
        harness.wait_until(lambda: self.rows()[one.address]["connections"] == 0, "room")
        self.assertEqual(greeting(self.proxy.port), "one")

    def test_who_waits_is_served_by_a_server_that_comes_back(self):
        """Nobody else comes, so those who wait must look for it themselves."""
        one, two = self.greeter("one"), self.greeter("two")
        two.end()
        self.serve((one, "max-connections = 1"), (two, ""), options="failure-pause = 200ms  queue-timeout = 60s",
                   workers=1)
        harness.wait_until(lambda: greeting(self.proxy.port) and self.state(two) == "paused", "the failure")
        harness.wait_until(lambda: self.rows()[one.address]["connections"] == 0, "room")
        self.held(1)
        waiting = self.own(clients.connect(self.proxy.port))
        two.begin()
        self.assertEqual(waiting.recv(100), b"two")

    def test_one_that_refuses_beside_one_that_is_full(self):
        """The connection waits, rather than failing with the server that refuses."""
        one = self.greeter("one")
        self.serve((one, "max-connections = 1"), options="queue-timeout = 60s")
        self.reload((one.address, "max-connections = 1"), f"127.0.0.1:{harness.free_port()}")
        self.proxy.wait_for(0, "immure_draining_workers")  # it may accept some still, and counts for itself
        held = self.held(1)
        heard = []
        late = threading.Thread(target=lambda: heard.append(greeting(self.proxy.port)))
        late.start()
        self.proxy.wait_for(1, "immure_queued")
        held[0].close()
        late.join()
        self.assertEqual(heard, ["one"])


class Balance(PoolTest):
    def shares(self, balance, clients_count, **options):
        """How many of these clients, one after the other, each of three servers of weight 1, 1 and 2 serves."""
        servers = [self.own(Greeter(name)) for name in ("one", "two", "three")]
        self.start([certificate("p-256")], *((server.address, "weight = 2" if server.name == "three" else "")
                                             for server in servers), options=f"balance = {balance}", **options)
        return collections.Counter(greeting(self.proxy.port) for _ in range(clients_count))

    def test_round_robin(self):
        shares = self.shares("round-robin", 80, workers=1)
        self.assertEqual((shares["one"], shares["two"], shares["three"]), (20, 20, 40))

    def test_source(self):
        """One client, one server, also through other threads."""
        shares = self.shares("source", 40)
        self.assertEqual(len(shares), 1)

    def test_source_behind_a_load_balancer(self):
        self.shares("source", 0, frontend="accept-proxy = v1")
        header = b"PROXY TCP4 10.0.%d.%d 127.0.0.1 1000 443\r\n"
        hear = lambda number: greeting(self.proxy.port, before=header % (number // 200, number % 200))
        first = {number: hear(number) for number in range(100)}
        self.assertEqual(len(set(first.values())), 3)
        self.assertEqual({number: hear(number) for number in range(100)}, first)

    def test_random_two(self):
        shares = self.shares("random-two", 200)
        self.assertGreater(shares["three"], shares["one"])
        self.assertGreater(min(shares.values()), 20)

    def test_least_connections(self):
        self.shares("least-connections", 1, workers=1)
        held = [self.own(clients.connect(self.proxy.port)) for _ in range(40)]
        heard = collections.Counter(connection.recv(100) for connection in held)
        self.assertEqual((heard[b"one"], heard[b"two"], heard[b"three"]), (10, 10, 20))


if __name__ == "__main__":
    harness.main()
