"""Servers that are killed, hang, are slow, refuse or reset, alone and all together, under load: no connection
fails that another server could have served."""

import socket
import threading
import time

import backends
import clients
import harness
from certificates import certificate
from greeters import Greeter, Hung, Listeners, PoolTest, greeting


class Failures(PoolTest):
    def serve(self, *servers, options="", top="connect-timeout = 3s", **more):
        addresses = [server if isinstance(server, (str, tuple)) else server.address for server in servers]
        return self.start([certificate("p-256")], *addresses, options=options, top=top, **more)

    def greeter(self, name, **options):
        return self.own(Greeter(name, **options))

    def load(self, threads=4):
        return self.own(Listeners(self.proxy.port, threads))

    def refusing(self):
        return f"127.0.0.1:{harness.free_port()}"

    def test_a_server_that_refuses(self):
        good = self.greeter("good")
        self.serve(good, self.refusing(), options="failure-pause = 50ms")
        load = self.load()
        load.wait_for_more(200)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertGreater(self.proxy.metric("immure_backend_retries_total"), 0)
        self.assertIn("up -> paused: Connection refused", self.proxy.log())
        # it is tried once in a pause, and not once for a client
        self.assertLess(self.proxy.metric("immure_backend_errors_total"), load.total() / 4)

    def test_servers_that_are_killed_and_come_back(self):
        """Connections that the killed server had not accepted are reset by the kernel."""
        one, two, three = (self.greeter(name) for name in ("one", "two", "three"))
        self.serve(one, two, three, options="failure-pause = 100ms")
        load = self.load()
        for server in (one, two, three):
            load.wait_for_more(20, server.name)
            server.paused = True  # connections pile up, as at a process that is about to be killed
            time.sleep(0.2)
            server.end()
            load.wait_for_more(60)
            server.paused = False
            server.begin()
            load.wait_for_more(20, server.name)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertIn("paused -> up: a connection was made", self.proxy.log())

    def test_a_server_that_hangs(self):
        """It is given a second, because there are others, and then a pause; no client fails."""
        good, hung = self.greeter("good"), self.own(Hung())
        self.serve(good, hung, options="failure-pause = 1s")
        load = self.load()
        load.wait_for_more(200)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertIn("up -> paused: Connection timed out", self.proxy.log())

    def test_one_trial_at_a_time_waits_for_a_server_that_hangs(self):
        good, hung = self.greeter("good"), self.own(Hung())
        self.serve(good, hung, options="failure-pause = 100ms")
        harness.wait_until(lambda: greeting(self.proxy.port) and self.rows()[hung.address]["state"] == "paused",
                           "the first failure")
        time.sleep(0.2)
        late = threading.Thread(target=greeting, args=(self.proxy.port,))
        late.start()
        time.sleep(0.1)
        begun = time.monotonic()
        for _ in range(5):
            self.assertEqual(greeting(self.proxy.port), "good")
        self.assertLess(time.monotonic() - begun, 0.8)
        late.join()

    def test_a_server_that_resets(self):
        """Not a byte has gone in any direction, so another server is asked."""
        good, resets = self.greeter("good"), self.greeter("resets", resets=True)
        self.serve(good, resets, options="failure-pause = 50ms")
        load = self.load()
        load.wait_for_more(200)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertGreater(resets.accepted, 1)
        self.assertIn("up -> paused: Connection reset by peer", self.proxy.log())

    def test_a_server_that_is_slow(self):
        """It gets what it can take: new connections go where the fewest are."""
        good, slow = self.greeter("good"), self.greeter("slow", delay=0.5)
        self.serve(good, slow)
        load = self.load(threads=6)
        load.wait_for_more(5, "slow")
        load.wait_for_more(100)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.heard["good"], 4 * load.heard["slow"])
        self.assertEqual(self.state(slow), "up")

    def test_all_down_and_back(self):
        """All are tried all the same, so that the first that is back serves at once."""
        servers = [self.greeter(name) for name in ("one", "two", "three")]
        self.serve(*servers, options="failure-pause = 10m  failure-pause-max = 10m")
        load = self.load()
        load.wait_for_more(50)
        for server in servers:
            server.end()
        harness.wait_until(lambda: all(row["state"] == "paused" for row in self.rows().values()), "the end of all")
        harness.wait_until(lambda: len(load.failures) > 4, "clients that fail")
        servers[1].begin()
        load.wait_for_more(20, "two")
        failed = len(load.failures)
        load.wait_for_more(100)
        self.assertEqual(len(load.failures), failed)
        self.wait_for_state(servers[1], "up")
        load.close()

    def test_a_client_hears_of_the_failure_when_all_refuse(self):
        self.serve(self.refusing(), self.refusing(), self.refusing())
        with self.assertRaises(ConnectionError):
            greeting(self.proxy.port)
        self.proxy.wait_for(3, "immure_backend_errors_total")
        self.proxy.wait_for(1, "immure_connection_ends_total", how="backend-failed")

    def test_many_that_refuse(self):
        """One good server among a hundred, which are tried a few in each turn."""
        good = self.greeter("good")
        self.serve(*(self.refusing() for _ in range(100)), good, options="balance = round-robin")
        load = self.load(threads=2)
        load.wait_for_more(200)
        load.close()
        self.assertEqual(load.failures, [])
        self.assertEqual(self.state(good), "up")

    def test_backup_servers(self):
        one, spare = self.greeter("one"), self.greeter("spare")
        self.serve(one, (spare.address, "backup = yes"), options="failure-pause = 100ms")
        for _ in range(8):
            self.assertEqual(greeting(self.proxy.port), "one")
        one.end()
        for _ in range(8):
            self.assertEqual(greeting(self.proxy.port), "spare")
        one.begin()
        harness.wait_until(lambda: greeting(self.proxy.port) == "one", "the server that is back")
        for _ in range(8):
            self.assertEqual(greeting(self.proxy.port), "one")


class Bytes(PoolTest):
    """The bytes of a client never go to two servers."""

    def test_what_was_sent_to_a_server_that_resets_goes_to_no_other(self):
        got = []

        def read_and_reset(connection):
            got.append(connection.recv(100))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        servers = [self.own(backends.Backend(read_and_reset)) for _ in range(3)]
        self.start([certificate("p-256")], *(server.address for server in servers))
        for number in range(20):
            with clients.connect(self.proxy.port) as connection:
                connection.sendall(b"%d" % number)
                try:
                    self.assertEqual(connection.recv(100), b"")
                except OSError:
                    pass
        harness.wait_until(lambda: len(got) == 20, lambda: f"20 requests, not {got}")
        self.assertEqual(sorted(got, key=int), [b"%d" % number for number in range(20)])

    def test_the_proxy_header_goes_to_the_server_that_serves(self):
        """The servers before it have refused or reset the connection before anything was sent."""
        headers = []

        def read_header(connection):
            headers.append(backends.read_proxy_v1(connection))
            connection.sendall(connection.recv(100))

        good = self.own(backends.Backend(read_header))
        self.start([certificate("p-256")], f"127.0.0.1:{harness.free_port()}", good.address,
                   options="proxy-protocol = v1  failure-pause = 1ms")
        for number in range(10):
            with clients.connect(self.proxy.port) as connection:
                source = connection.getsockname()[1]
                clients.echo_once(connection)
            self.assertEqual(headers[number][4], str(source))


if __name__ == "__main__":
    harness.main()
