"""A worker killed with -9 takes its own connections with it, and no others."""

import os
import signal

import backends
import clients
import harness
import proc
from certificates import certificate

KILLS = 5
THREADS = 4


class KillWorker(harness.SystemTest):
    def setUp(self):
        super().setUp()
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address)

    def connection_of(self, worker):
        """A connection, if this worker has one by then."""
        connection = self.own(clients.connect(self.proxy.port))
        clients.echo_once(connection)
        status = self.proxy.status()
        draining = status["draining"]  # the figures are of both workers
        own = status["connections"]["established"] > draining["connections"] and draining["workers"] == 1
        return connection if status["pid"] == worker and own else None

    def test_only_its_own_connections(self):
        older = self.own(clients.connect(self.proxy.port))
        first = self.proxy.worker()
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") == 2, "the next worker")
        second = self.proxy.worker()
        self.assertNotEqual(first, second)
        newer = harness.wait_until(lambda: self.connection_of(second), "a connection of the next worker")
        os.kill(second, signal.SIGKILL)
        with self.assertRaises((OSError, AssertionError)):
            clients.echo_once(newer)
        for _ in range(20):
            with clients.connect(self.proxy.port) as connection:  # none is refused meanwhile
                clients.echo_once(connection)
            clients.echo_once(older)
        self.assertTrue(proc.alive(first))

    def test_under_load(self):
        """Connections that the worker had accepted are lost; those in the backlog are not."""
        load = clients.HandshakeLoad(self.proxy.port, THREADS)
        immured = self.proxy.immured()
        for _ in range(KILLS):
            done = load.done
            harness.wait_until(lambda done=done: load.done > done + 10, "handshakes under way")
            os.kill(self.proxy.worker(), signal.SIGKILL)
        done = load.done
        harness.wait_until(lambda: load.done > done + 10, "handshakes at the end")
        load.stop()
        self.assertLessEqual(len(load.failures), KILLS * THREADS, load.failures)
        self.assertEqual([each for each in load.failures if "refused" in each.lower()], [])
        self.assertEqual(self.proxy.immured(), immured)


if __name__ == "__main__":
    harness.main()
